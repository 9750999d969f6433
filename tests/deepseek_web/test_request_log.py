"""Every answer has an id that is also in the log."""

import asyncio
import json
import logging

import pytest
from asgiref.testing import ApplicationCommunicator

from contracts.logs import JsonFormatter, note
from deepseek_web.request_log import RequestLog


async def application(scope, receive, send):
    logging.getLogger("inner").warning("inside")
    if scope["path"] == "/noted":

        async def submit():
            note(request_id="r-1")

        await asyncio.create_task(submit())
    await send({"type": "http.response.start", "status": 204, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b""})


async def answer(path: str, *headers: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    asked = ApplicationCommunicator(RequestLog(application), scope)
    await asked.send_input({"type": "http.request"})
    start = await asked.receive_output()
    await asked.receive_output()
    await asked.wait()
    return dict(start["headers"])


class Lines(logging.Handler):
    """Formats at once, as a stream does: what is bound is bound only now."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonFormatter("web"))
        self.lines: list[dict] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines():
    handler = Lines()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


async def test_the_clients_id_is_kept_and_logged(lines) -> None:
    headers = await answer("/v1/models", (b"x-request-id", b"abc-1"))
    assert headers == {b"a": b"b", b"x-request-id": b"abc-1"}
    assert [(line["message"], line["http_request_id"]) for line in lines] == [
        ("inside", "abc-1"),
        ("answered", "abc-1"),
    ]
    assert (lines[1]["path"], lines[1]["status"]) == ("/v1/models", 204)


@pytest.mark.parametrize("bad", [b"", b"a b", b"x" * 65, b"a\nb", "é".encode()])
async def test_an_unusable_id_is_replaced(bad: bytes) -> None:
    made = (await answer("/", (b"x-request-id", bad)))[b"x-request-id"]
    assert len(made) == 32 and made.isalnum()


async def test_probes_are_not_logged(lines) -> None:
    await answer("/readyz")
    assert [line["message"] for line in lines] == ["inside"]


async def test_what_a_task_inside_has_noted_is_in_its_own_answers_line_only(lines) -> None:
    await answer("/noted")
    await answer("/v1/models")
    assert [line.get("request_id") for line in lines if line["message"] == "answered"] == ["r-1", None]
