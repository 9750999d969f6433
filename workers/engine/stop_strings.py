"""Finds stop strings in text that arrives in pieces, and never lets a part of one out."""

from __future__ import annotations


class StopStrings:
    """Holds back the end of the text while it may be the beginning of a stop string."""

    def __init__(self, stop: list[str]) -> None:
        self._stop = stop
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """What may be shown now. Once a stop string is complete, `stopped` is set, the text before
        it comes out and nothing after it ever does."""
        if self.stopped:
            return ""
        self._held += text
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._take(min(found))
        return self._take(len(self._held) - self._overlap())

    def flush(self) -> str:
        """The end of the text: what looked like the beginning of a stop string was none."""
        return "" if self.stopped else self._take(len(self._held))

    def _take(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _overlap(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = min(len(self._held), max(map(len, self._stop), default=1) - 1)
        for length in range(longest, 0, -1):
            end = self._held[-length:]
            if any(stop.startswith(end) for stop in self._stop):
                return length
        return 0
