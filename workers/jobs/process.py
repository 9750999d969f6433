"""A job's process and everything it starts: begun, listened to, measured and ended as one."""

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from contracts.messages import Event, JobRequest
from workers.jobs.journal import Entry
from workers.jobs.report import PIPE

_LONGEST_LINE = 2000  # characters of a line in the log


def dies_with_parent() -> list[str]:
    """Command prefix: the kernel kills the process when the one that started it ends in any way."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


class JobProcess:
    """`python -m workers.jobs.<kind>` in a session of its own."""

    def __init__(self, request: JobRequest, folder: Path) -> None:
        reading, writing = os.pipe()
        command = [*dies_with_parent(), sys.executable, "-m", f"workers.jobs.{request.kind}", str(folder)]
        environment = {**os.environ, PIPE: str(writing), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=[writing], start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(request.to_json().encode())
        self._parts = {reading: b"", self._process.stdout.fileno(): b""}
        self._reports = reading
        self._selector = selectors.DefaultSelector()
        for descriptor in self._parts:
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)

    def listen(self, seconds: float) -> tuple[list[Entry], bool]:
        """What it has said, waiting at most so long; False when both its pipes are closed."""
        entries: list[Entry] = []
        for key, _ in self._selector.select(seconds):
            entries += self._read(key.fd)
        return entries, bool(self._selector.get_map())

    def memory(self) -> int:
        """Resident bytes of the process and all below it."""
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
        return total

    def end(self) -> int:
        """Kill what is left of it, also what is in another session, as torchrun's processes are; its exit code."""
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(self._process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._selector.close()
        os.close(self._reports)
        assert self._process.stdout
        self._process.stdout.close()
        return code

    def wait(self, seconds: float) -> int | None:
        """Its exit code, once it has ended by itself; None when it does not."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _read(self, descriptor: int) -> list[Entry]:
        found = os.read(descriptor, 65536)
        if not found:
            self._selector.unregister(descriptor)
        *lines, self._parts[descriptor] = (self._parts[descriptor] + found).replace(b"\r", b"\n").split(b"\n")
        if not found:
            lines.append(self._parts[descriptor])
        entry = _reported if descriptor == self._reports else _logged
        return [entry(line.decode(errors="replace")) for line in lines if line.strip()]


def _reported(line: str) -> Entry:
    event, data = json.loads(line)
    checked: dict[str, Any] = data
    return Event(event), checked


def _logged(line: str) -> Entry:
    return Event.LOG, {"line": line[:_LONGEST_LINE]}
