"""A few decoder processes (decoder.py) that the threads of worker-app take in turn."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from django.conf import settings

from apps.serving.limited_process import LimitedProcess


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


class Decoder(LimitedProcess):
    module = "apps.files.decoder"
    ended = "The program that reads pictures was ended by this file."

    def read(self, path: Path, folder: Path, *, keeps_location: bool) -> Decoded:
        """Raises Unreadable."""
        found = self.ask(path=str(path), folder=str(folder), keeps_location=keeps_location)["picture"]
        taken_at = found.pop("taken_at")
        return Decoded(**found, taken_at=datetime.fromisoformat(taken_at) if taken_at else taken_at)

    def limits(self) -> tuple[int, ...]:
        return (
            settings.SEARCH_DECODER_MB * 2**20,
            settings.SEARCH_DECODER_SECONDS,
            settings.SEARCH_MAX_MEGAPIXELS * 1_000_000,
        )

    def too_slow(self) -> str:
        return f"The picture was not read within {settings.SEARCH_DECODER_SECONDS} seconds."


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
