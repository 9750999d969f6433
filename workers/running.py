"""The requests that a worker serves at the moment: one attempt of each, and only so many."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Place:
    attempt: int
    is_stopped: bool = False
    left: threading.Event = field(default_factory=threading.Event)


class WouldWait(Exception):
    """There is no room, or an earlier attempt is still being ended."""


class Running:
    """`room` requests at most. Thread-safe."""

    def __init__(self, room: int) -> None:
        self.places: dict[str, Place] = {}
        self._room = threading.Semaphore(room)

    def enter(
        self, request_id: str, attempt: int, abort: Callable[[str], object], *, may_wait: bool = True
    ) -> Place | None:
        """Waits for room, or raises WouldWait. None when the same attempt, or a later one, is here already.

        This worker may have been taken for dead and now gets its own request back: only one attempt may write, so
        the earlier one is aborted and awaited first.
        """
        place = Place(attempt)
        while (known := self.places.setdefault(request_id, place)) is not place:
            if known.attempt >= attempt:
                return None
            if not may_wait:
                raise WouldWait
            abort(request_id)
            known.left.wait()
        if not self._room.acquire(blocking=may_wait):
            self.places.pop(request_id).left.set()
            raise WouldWait
        return place

    def leave(self, request_id: str) -> None:
        self.places.pop(request_id).left.set()
        self._room.release()

    def stop(self, request_id: str) -> None:
        """Also a request that no engine has yet: whoever submits it looks here afterwards."""
        if place := self.places.get(request_id):
            place.is_stopped = True
