"""A process of its own in which files of strangers are read: it has limits of memory and time, and a line of JSON each
way is all that passes between it and us."""

import json
import subprocess
import sys
from typing import Any

from django.conf import settings


class Unreadable(Exception):
    """The file cannot be read, or not like this; says why in a sentence (sentences.py)."""


class LimitedProcess:
    """One thread uses it at a time. Started when it is needed, and again when it has died."""

    module: str
    """What it runs: reads lines, answers each, and sets its limits to its arguments."""
    ended: str
    """The sentence for a file that it died of."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def limits(self) -> tuple[int, ...]:
        """Arguments of the module."""
        raise NotImplementedError

    def too_slow(self) -> str:
        """The sentence for a file that took longer than its clock allows."""
        raise NotImplementedError

    def ask(self, **asked: Any) -> dict[str, Any]:
        """Raises Unreadable, also for a file that the process died of."""
        process = self._running()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            status = process.wait()
            raise Unreadable(self.too_slow() if status == -14 else self.ended)  # SIGALRM, its own clock
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unreadable(answer["error"])
        return answer

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            # It ends with us: its standard input is closed then, and its clock runs while it reads.
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *map(str, self.limits())],
                cwd=settings.BASE_DIR,
                env={"PATH": "", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process
