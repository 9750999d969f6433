"""A closed-loop HTTP load: N connections kept open, each sends its next request when its answer has come.

Written against the protocol, without a client library, so that it takes as little as possible of the cores that the
servers are measured on; the same for every server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle


@dataclass
class Load:
    """Times are in seconds; `statuses` counts what was answered within the measured time."""

    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict:
        ordered = sorted(self.latencies)
        return {
            "requests_per_s": len(ordered) / self.seconds,
            "p50_s": ordered[len(ordered) // 2],
            "p95_s": ordered[int(0.95 * len(ordered))],
            "p99_s": ordered[int(0.99 * len(ordered))],
            "requests": len(ordered),
            "failed": sum(count for status, count in self.statuses.items() if status != 200),
        }


class _Connection(asyncio.Protocol):
    """Sends from `requests` until `ends`; answers that begin before `starts` are not counted."""

    def __init__(self, requests: Iterator[bytes], load: Load, starts: float, ends: float) -> None:
        self.requests, self.load, self.starts, self.ends = requests, load, starts, ends
        self.buffer = b""
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(next(self.requests))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self.buffer = b""
        now = time.perf_counter()
        if self.starts <= self.sent and now <= self.ends:
            status = int(head[9:12])
            self.load.latencies.append(now - self.sent)
            self.load.statuses[status] = self.load.statuses.get(status, 0) + 1
        if now < self.ends:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"an answer without a length: {head!r}")


def post(path: str, body: dict, headers: dict[str, str]) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(content)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def run(port: int, requests: list[bytes], *, connections: int, warm_up: float, seconds: float) -> dict:
    return asyncio.run(_run(port, cycle(requests), connections, warm_up, seconds))


async def _run(port: int, requests: Iterator[bytes], connections: int, warm_up: float, seconds: float) -> dict:
    load = Load(seconds=seconds)
    starts = time.perf_counter() + warm_up
    loop = asyncio.get_running_loop()
    protocols = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(
            lambda: _Connection(requests, load, starts, starts + seconds), "127.0.0.1", port
        )
        protocols.append(protocol)
    await asyncio.wait_for(asyncio.gather(*(protocol.finished for protocol in protocols)), warm_up + seconds + 60)
    return load.as_dict()
