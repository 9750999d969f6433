"""A websocket client for consumers, without a server. (channels.testing would need daphne.)"""

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator
from channels.consumer import AsyncConsumer


class SocketClient(ApplicationCommunicator):
    def __init__(self, consumer: type[AsyncConsumer], user: object, **more: Any) -> None:
        scope = {"type": "websocket", "path": "/", "user": user, "headers": [], "query_string": b"", **more}
        super().__init__(consumer.as_asgi(), scope)

    async def connect(self) -> None:
        await self.send_input({"type": "websocket.connect"})
        assert (await self.receive_output(5))["type"] == "websocket.accept"

    async def send_json(self, message: dict[str, Any]) -> None:
        await self.send_text(json.dumps(message))

    async def send_text(self, text: str) -> None:
        await self.send_input({"type": "websocket.receive", "text": text})

    async def receive_json(self) -> dict[str, Any]:
        output = await self.receive_output(5)
        assert output["type"] == "websocket.send", output
        return json.loads(output["text"])

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(5)
