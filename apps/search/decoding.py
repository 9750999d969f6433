"""A few decoder processes (decoder.py) that the threads of worker-app take in turn."""

import json
import queue
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings


class Unreadable(Exception):
    """The file is no picture that can be kept; says why in a sentence (apps/serving/sentences.py)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is known of a picture; `picture` and `thumbnail` are files in the folder that was asked for."""

    kind: str
    width: int
    height: int
    phash: int
    colour: int
    extension: str
    content_type: str
    taken_at: datetime | None


class Decoder:
    """One process; one thread uses it at a time. Started when it is needed, and again when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def read(self, path: Path, folder: Path, *, keeps_location: bool) -> Decoded:
        """Raises Unreadable, also for a file that the process died of."""
        process = self._running()
        asked = {"path": str(path), "folder": str(folder), "keeps_location": keeps_location}
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise Unreadable(self._why_it_died())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unreadable(answer["error"])
        found = answer["picture"]
        taken_at = datetime.fromisoformat(found.pop("taken_at")) if found["taken_at"] else found.pop("taken_at")
        return Decoded(**found, taken_at=taken_at)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            limits = (
                settings.SEARCH_DECODER_MB * 2**20,
                settings.SEARCH_DECODER_SECONDS,
                settings.SEARCH_MAX_MEGAPIXELS * 1_000_000,
            )
            # It ends with us: its standard input is closed then, and its clock runs while it decodes.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "apps.search.decoder", *map(str, limits)],
                cwd=settings.BASE_DIR,
                env={"PATH": "", "MALLOC_ARENA_MAX": "1"},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _why_it_died(self) -> str:
        assert self._process
        status = self._process.wait()
        if status == -14:  # SIGALRM, its own clock
            return f"The picture was not read within {settings.SEARCH_DECODER_SECONDS} seconds."
        return "The program that reads pictures was ended by this file."


@cache
def _decoders() -> "queue.LifoQueue[Decoder]":
    free: queue.LifoQueue[Decoder] = queue.LifoQueue()
    for _ in range(settings.SEARCH_DECODERS):
        free.put(Decoder())
    return free


@contextmanager
def decoder() -> Iterator[Decoder]:
    """One that is free now, or is next."""
    free = _decoders()
    one = free.get()
    try:
        yield one
    finally:
        free.put(one)
