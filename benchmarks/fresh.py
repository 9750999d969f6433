"""A fresh clone of the repository in a folder of its own, in which the commands of the documentation are run."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import psutil

from deepseek_web.env import BASE_DIR
from tests.e2e.stack import Shell, environment, free_port

START_SECONDS = 3600.0  # of a machine that fetches packages over a slow line and converts the chat model
_READY = re.compile(r"Ready in [\d.]+ s")
_PASSWORD = re.compile(r"First administrator: (\S+)\s+password: (\S+)")


class Clone:
    """Use as a context manager. The commit that is checked out, not what is changed in the working tree.

    With `venv` the packages are those of a virtual environment that is there: `make` skips its target `setup`, which
    would install into it.
    """

    def __init__(self, venv: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="deepseek-web-fresh-"))
        self.folder.chmod(0o711)  # PostgreSQL, which is never root, passes through
        self.root, self.var = self.folder / "repository", self.folder / "repository" / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = self.folder / "output"
        self._venv = venv
        self._running: subprocess.Popen[bytes] | None = None
        own = {"VAR", "VAR_DIR", "SKIP_LESSONS", "SKIP_MODEL"}
        self.environment = {name: value for name, value in environment(self.var).items() if name not in own}
        self.environment["PORT"] = str(self.port)

    def __enter__(self) -> Self:
        subprocess.run(["git", "clone", "--quiet", str(BASE_DIR), str(self.root)], check=True)
        if self._venv is not None:
            (self.root / ".venv").symlink_to(self._venv.resolve())
            self._skip_setup()
        return self

    def __exit__(self, *exc: object) -> None:
        if "_shell" in vars(self):
            self._shell.close()
        if self._running is not None and self._running.poll() is None:
            self.shell("make stop")
        for one in self._left():
            one.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _skip_setup(self) -> None:
        tools, make = self.folder / "tools", shutil.which("make")
        tools.mkdir()
        (tools / "make").write_text(f'#!/bin/sh\nexec {make} -o setup "$@"\n')
        (tools / "make").chmod(0o755)
        self.environment["PATH"] = f"{tools}:{self.environment['PATH']}"

    def _left(self) -> list[psutil.Process]:
        """Processes that were begun in this clone."""
        found = []
        for one in psutil.process_iter():
            try:
                if str(self.folder) in " ".join(one.cmdline()) or one.environ().get("VAR_DIR") == str(self.var):
                    found.append(one)
            except psutil.Error:
                continue
        return found

    def shell(self, commands: str) -> str:
        """What they print. Raises RuntimeError when one fails."""
        done = subprocess.run(
            ["bash", "-euc", commands], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{commands}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def start(self, command: str = "make run") -> float:
        """In another terminal; seconds until it says that it is ready. Raises RuntimeError with its last words."""
        began = time.monotonic()
        with self.output.open("wb") as output:
            self._running = subprocess.Popen(
                ["bash", "-c", command], cwd=self.root, env=self.environment, stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        while not _READY.search(self.said):
            if self._running.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise RuntimeError(f"{command} did not get ready:\n{self.said[-3000:]}")
            time.sleep(0.1)
        return time.monotonic() - began

    def stopped(self) -> None:
        """Wait for the end of what was started, once it was asked to stop."""
        if self._running is not None:
            self._running.wait(120)

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def administrator(self) -> tuple[str, str]:
        """E-mail address and password, as the first start tells them."""
        found = _PASSWORD.search(self.said)
        assert found, self.said[-2000:]
        return found[1], found[2]

    def manage(self, *arguments: str) -> str:
        """Output of a management command. Raises RuntimeError."""
        return self._shell.ask(command=arguments)

    @functools.cached_property
    def _shell(self) -> Shell:
        own = {"VAR_DIR": str(self.var), "DJANGO_SETTINGS_MODULE": "deepseek_web.settings"}
        return Shell({**self.environment, **own}, self.root, str(self.root / ".venv/bin/python"))


class Moments(threading.Thread):
    """When files of a start appear, in seconds since the beginning."""

    def __init__(self, paths: dict[str, Path]) -> None:
        super().__init__(daemon=True)
        self._paths, self._ended = paths, threading.Event()
        self.found: dict[str, float] = {}

    def run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(0.1):
            for name, path in self._paths.items():
                if name not in self.found and path.exists():
                    self.found[name] = time.monotonic() - began

    def stop(self) -> None:
        self._ended.set()
        self.join()
