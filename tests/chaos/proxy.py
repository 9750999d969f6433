"""A TCP proxy on the loopback address that delays what passes, or lets nothing pass for a while."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Between clients and a server at `target`: a port, or the path of a unix socket."""

    def __init__(self, target: int | str) -> None:
        self._target = target
        self.delay = 0.0  # seconds, each way
        self._passes = threading.Event()
        self._passes.set()
        self._loop = asyncio.new_event_loop()
        self._began = threading.Event()
        self.port = 0
        threading.Thread(target=self._run, daemon=True).start()
        self._began.wait(10)

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Connections stay, nothing passes: as when packets are lost on the way."""
        self._passes.clear()
        try:
            yield
        finally:
            self._passes.set()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._began.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._target, int):
                there = await asyncio.open_connection("127.0.0.1", self._target)
            else:
                there = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.close()
            return
        ways = [asyncio.ensure_future(way) for way in (self._pass(reader, there[1]), self._pass(there[0], writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, there[1]):
            end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In its order; what is under way does not keep the next from being read."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.ensure_future(self._deliver(on_the_way, writer))
        try:
            while data := await reader.read(65536):
                on_the_way.put_nowait((time.monotonic() + self.delay, data))
            on_the_way.put_nowait((time.monotonic() + self.delay, b""))
            await delivering
        except OSError:
            pass
        finally:
            delivering.cancel()

    async def _deliver(self, on_the_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                while not self._passes.is_set():
                    await asyncio.sleep(0.02)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
