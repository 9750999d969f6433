"""The process that reads spoken clips (clip_decoder.py), which the threads of worker-app take in turn: each clip takes
some milliseconds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.serving.limited_process import LimitedProcess


class ClipDecoder(LimitedProcess):
    module = "apps.files.clip_decoder"
    ended = "The program that reads clips was ended by this file."

    def read(self, path: Path, folder: Path) -> None:
        """Writes `clip` into the folder. Raises Unreadable."""
        self.ask(path=str(path), folder=str(folder))

    def limits(self) -> tuple[int, ...]:
        return settings.SEARCH_DECODER_MB * 2**20, settings.SEARCH_DECODER_SECONDS

    def too_slow(self) -> str:
        return f"The clip was not read within {settings.SEARCH_DECODER_SECONDS} seconds."


_decoder = ClipDecoder()
_turn = threading.Lock()


@contextmanager
def clip_decoder() -> Iterator[ClipDecoder]:
    """When it is free."""
    with _turn:
        yield _decoder
