"""Tells requests that wait for an encoder how many are before them, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.messages import Event

from .batcher import Waiting
from .group import Group
from .meter import Meter
from .result_writer import ResultWriter


@dataclass(slots=True)
class Announcer:
    """PROGRESS {position, seconds} for requests that wait longer than `interval` seconds. Not thread-safe:
    used under the engine's lock."""

    meter: Meter
    writer: ResultWriter
    lanes: int
    interval: float
    told_at: float = 0.0

    def tell(self, waiting: Waiting, now: float) -> None:
        if now - self.told_at < self.interval or not waiting:
            return
        self.told_at = now
        alone = self.meter.table.alone
        seconds = 0.0
        seen: dict[str, None] = {}
        for item in waiting.in_order(alone):
            group: Group = item.group
            if group.request.request_id not in seen and not group.started:
                self._tell_one(group, len(seen), seconds, now)
            seen[group.request.request_id] = None
            seconds += self.meter.pace * alone(item.length) / self.lanes

    def _tell_one(self, group: Group, position: int, seconds: float, now: float) -> None:
        if group.position != position and now - group.arrival_time >= self.interval:
            group.position = position
            data = {"position": position, "seconds": round(seconds, 2)}
            self.writer.progress(group.request.request_id, Event.PROGRESS, data)
