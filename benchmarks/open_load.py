"""An open-loop HTTP load: requests are sent at their times, whether or not answers come.

A server that falls behind gets no mercy: what waits is counted from the moment it was sent. Written against the
protocol, as load.py is, because the client takes its time from the same cores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Answer:
    """Times are in seconds since the request was sent."""

    status: int
    first: float  # byte of the body
    last: float
    admission_ms: float | None  # what the server says itself, by Server-Timing
    events: int  # of a stream
    sent: float  # seconds of the clock that performance is measured with
    retry_after: float | None
    is_broken: bool  # a stream that ended with an error, or not with its last event

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300 and not self.is_broken


@dataclass
class OpenLoad:
    answers: list[Answer] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)  # seconds between the time to send and the sending
    lost: int = 0  # sent and never answered

    @property
    def sent(self) -> int:
        return len(self.lateness)

    @property
    def failed(self) -> int:
        return self.lost + sum(not answer.is_good for answer in self.answers)


# Seconds after the beginning, where its answer is noted, the request.
Sending = tuple[float, OpenLoad, bytes]


class _Connection(asyncio.Protocol):
    """One request at a time; is put back into `idle` when it is answered."""

    def __init__(self, idle: list[_Connection]) -> None:
        self.idle = idle
        self.head = b""
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.idle.append(self)

    def send(self, request: bytes, load: OpenLoad) -> None:
        self.head = self.body = b""
        self.first = 0.0
        self.load = load
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
        if self in self.idle:
            self.idle.remove(self)

    def _is_whole(self) -> bool:
        length = _header(self.head, b"content-length")
        return self.body.endswith(b"0\r\n\r\n") if length is None else len(self.body) >= int(length)

    def _finish(self) -> None:
        said, wait = _header(self.head, b"server-timing"), _header(self.head, b"retry-after")
        is_stream = b"text/event-stream" in self.head
        self.load.answers.append(
            Answer(
                status=int(self.head[9:12]),
                first=self.first,
                last=time.perf_counter() - self.sent,
                admission_ms=float(said.partition(b"dur=")[2]) if said else None,
                events=self.body.count(b"data: "),
                sent=self.sent,
                retry_after=float(wait) if wait else None,
                is_broken=is_stream and (b'data: {"error"' in self.body or b"data: [DONE]" not in self.body),
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
    load = OpenLoad()
    sendings = ((number / rate, load, request) for number in range(round(rate * seconds)))
    asyncio.run(drive(port, sendings, connections=connections))
    return load


async def drive(port: int, sendings: Iterable[Sending], *, connections: int = 64, patience: float = 10.0) -> None:
    """Send each at its time. What has no answer `patience` seconds after the last one was sent is lost."""
    idle: list[_Connection] = []
    loads: dict[int, OpenLoad] = {}
    every: list[asyncio.BaseTransport] = []
    loop = asyncio.get_running_loop()

    async def connect() -> None:
        with suppress(OSError):  # what cannot be sent is lost
            transport, _ = await loop.create_connection(lambda: _Connection(idle), "127.0.0.1", port)
            every.append(transport)

    for _ in range(connections):
        await connect()
    started = time.perf_counter()
    for due, load, request in sendings:
        await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
        loads[id(load)] = load
        if not idle:
            await connect()
        load.lateness.append(time.perf_counter() - started - due)
        if idle:
            idle.pop(0).send(request, load)
    gives_up = time.perf_counter() + patience
    while any(load.sent > len(load.answers) for load in loads.values()) and time.perf_counter() < gives_up:
        await asyncio.sleep(0.02)
    for load in loads.values():
        load.lost = load.sent - len(load.answers)
    for transport in every:
        transport.close()
