"""The client of the load tests against a server of a few lines."""

import asyncio
import time

from benchmarks import open_load
from benchmarks.open_load import OpenLoad

STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6\r\ndata: \r\n"
)  # fmt: skip
ANSWERS = {
    b"/good": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"/full": b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\nno",
    b"/stream": STREAM + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
    b"/broken": STREAM + b"13\r\ndata: {\"error\": 1}\n\n\r\n0\r\n\r\n",
    b"/never": b"",
}  # fmt: skip


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await reader.readline():
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[head.split()[1]])


async def load_of(*paths: str) -> dict[str, OpenLoad]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loads = {path: OpenLoad() for path in paths}
    sendings = (
        (0.01 * number, load, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        for number, (path, load) in enumerate(loads.items())
    )
    await open_load.drive(port, sendings, connections=1, patience=0.5)
    server.close()
    return loads


async def test_answers_refusals_streams_and_what_is_lost_are_told_apart() -> None:
    before = time.perf_counter()
    loads = await load_of("/good", "/full", "/stream", "/broken", "/never")
    assert {path: load.failed for path, load in loads.items()} == {
        "/good": 0, "/full": 1, "/stream": 0, "/broken": 1, "/never": 1,
    }  # fmt: skip
    assert loads["/never"].lost == 1
    (refused,) = loads["/full"].answers
    assert (refused.status, refused.retry_after) == (503, 7.0)
    assert before < refused.sent < time.perf_counter()
    assert loads["/stream"].answers[0].is_good and loads["/broken"].answers[0].is_broken
