"""What callers and the output thread leave for the runner, and who is live. The one lock is here."""

from __future__ import annotations

import threading
from collections import deque

from contracts.messages import FinishReason

from .sequence import Sequence


class EngineClosed(RuntimeError):
    """The engine was closed before the request was finished; it can be resumed elsewhere."""


class EngineFull(RuntimeError):
    """As many requests are live as the engine takes."""


Drop = tuple[Sequence, FinishReason | None]  # without a reason nothing is said of it


class Mailbox:
    """A request is live from `post` until the runner forgets it."""

    def __init__(self, capacity: int) -> None:
        self.closing = ""  # "", "drain" or "now"
        self._capacity = capacity
        self._changed = threading.Condition()
        self._live: dict[str, Sequence] = {}
        self._arrived: deque[Sequence] = deque()
        self._dropped: deque[Drop] = deque()

    def post(self, sequence: Sequence) -> Sequence:
        """Leaves a sequence for the runner. Returns the one that stands for its request: a live one
        of the same attempt stays, an older attempt makes way. Raises EngineClosed, EngineFull."""
        with self._changed:
            if self.closing:
                raise EngineClosed("the engine takes no more requests")
            if known := self._live.get(sequence.request_id):
                if known.request.attempt >= sequence.request.attempt:
                    return known
                self._drop(known, None)
            if len(self._live) >= self._capacity:
                raise EngineFull(f"{len(self._live)} requests are already being served or waiting. Try again shortly.")
            self._live[sequence.request_id] = sequence
            self._arrived.append(sequence)
            self._changed.notify()
            return sequence

    def drop(self, request_id: str, reason: FinishReason | None) -> bool:
        """Asks the runner to end a request; False when it is not live."""
        with self._changed:
            sequence = self._live.get(request_id)
            if sequence:
                self._drop(sequence, reason)
            return sequence is not None

    def take(self) -> tuple[deque[Sequence], deque[Drop]]:
        """Everything left since the last time. Who is dropped has always arrived before."""
        with self._changed:
            arrived, self._arrived = self._arrived, deque()
            dropped, self._dropped = self._dropped, deque()
        return arrived, dropped

    def forget(self, sequence: Sequence) -> None:
        with self._changed:
            if self._live.get(sequence.request_id) is sequence:
                del self._live[sequence.request_id]

    def live(self) -> list[Sequence]:
        with self._changed:
            return list(self._live.values())

    def unread(self) -> int:
        return len(self._arrived)

    def close(self, how: str) -> None:
        with self._changed:
            self.closing = how
            self._changed.notify_all()

    def wait(self) -> bool:
        """Sleeps until the runner has something to do; False when it may go home."""
        with self._changed:
            while not (self._arrived or self._dropped or self._live or self.closing):
                self._changed.wait()
            return bool(self._live) or not self.closing

    def _drop(self, sequence: Sequence, reason: FinishReason | None) -> None:
        self._dropped.append((sequence, reason))
        if reason is None:
            sequence.stream.closed = True
        self._changed.notify()
