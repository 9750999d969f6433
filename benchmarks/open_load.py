"""An open-loop HTTP load: requests are sent at a rate, whether or not answers come.

A server that falls behind gets no mercy: what waits is counted from the moment it was sent. Written against the
protocol, as load.py is, because the client takes its time from the same cores.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    """Times are in seconds since the request was sent."""

    status: int
    first: float  # byte of the body
    last: float
    admission_ms: float | None  # what the server says itself, by Server-Timing
    events: int  # of a stream


@dataclass
class OpenLoad:
    answers: list[Answer] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)  # seconds between the time to send and the sending
    lost: int = 0  # sent and never answered

    @property
    def failed(self) -> int:
        return self.lost + sum(answer.status != 200 for answer in self.answers)


class _Connection(asyncio.Protocol):
    """One request at a time; is put back into `idle` when it is answered."""

    def __init__(self, idle: list[_Connection], load: OpenLoad) -> None:
        self.idle, self.load = idle, load
        self.head = b""
        self.body = b""
        self.is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.idle.append(self)

    def send(self, request: bytes) -> None:
        self.head = self.body = b""
        self.first = 0.0
        self.is_busy = True
        self.sent = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.head:
            self.body += data
            head, found, rest = self.body.partition(b"\r\n\r\n")
            if not found:
                return
            self.head, self.body = head.lower(), rest
        else:
            self.body += data
        if self.body and not self.first:
            self.first = time.perf_counter() - self.sent
        if self._is_whole():
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_busy:
            self.load.lost += 1
        if self in self.idle:
            self.idle.remove(self)

    def _is_whole(self) -> bool:
        length = _header(self.head, b"content-length")
        return self.body.endswith(b"0\r\n\r\n") if length is None else len(self.body) >= int(length)

    def _finish(self) -> None:
        self.is_busy = False
        said = _header(self.head, b"server-timing")
        self.load.answers.append(
            Answer(
                status=int(self.head[9:12]),
                first=self.first,
                last=time.perf_counter() - self.sent,
                admission_ms=float(said.partition(b"dur=")[2]) if said else None,
                events=self.body.count(b"data: "),
            )
        )
        self.idle.append(self)


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found == name:
            return value.strip()
    return None


def run(port: int, request: bytes, *, rate: float, seconds: float, connections: int = 64) -> OpenLoad:
    """Send `request` `rate` times a second; returns when all are answered, or ten seconds after the last."""
    return asyncio.run(_run(port, request, rate, seconds, connections))


async def _run(port: int, request: bytes, rate: float, seconds: float, connections: int) -> OpenLoad:
    load, idle = OpenLoad(), []
    loop = asyncio.get_running_loop()

    async def connect() -> None:
        await loop.create_connection(lambda: _Connection(idle, load), "127.0.0.1", port)

    for _ in range(connections):
        await connect()
    started = time.perf_counter()
    count = round(rate * seconds)
    for number in range(count):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if not idle:
            await connect()
        load.lateness.append(time.perf_counter() - due)
        idle.pop(0).send(request)
    gives_up = time.perf_counter() + 10
    while len(load.answers) + load.lost < count and time.perf_counter() < gives_up:
        await asyncio.sleep(0.02)
    load.lost += count - len(load.answers) - load.lost
    return load
