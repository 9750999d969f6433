"""PostgreSQL is stopped and started again under an installation in which answers are written."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message as Headers
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from benchmarks.installation import EMAIL, Installation
from tests.e2e.stack import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MODEL = "alphabet"
TOKENS = 100
STEP_SECONDS = 0.04  # an answer takes four seconds
PROMPT = len("What is the capital of France?")  # which the fake worker hears always; its letters are counted from there
WRITTEN = "".join(chr(ord("a") + (PROMPT + number) % 26) for number in range(TOKENS))
PROCESSES = ("web", "worker", "worker-app", "beat")

SESSION = f"""
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.cached_db import SessionStore
from apps.accounts.models import User
person = User.objects.get(email={EMAIL!r})
session = SessionStore()
session.update({{
    SESSION_KEY: str(person.pk), HASH_SESSION_KEY: person.get_session_auth_hash(),
    BACKEND_SESSION_KEY: "allauth.account.auth_backends.AuthenticationBackend",
}})
session.save()
print(session.session_key)
"""

ASK = f"""
from apps.accounts.models import User
from apps.chat import services
conversation = services.start_conversation(
    owner=User.objects.get(email={EMAIL!r}), deployment={MODEL!r}, parameters=dict(max_tokens={TOKENS}, temperature=0)
)
_, answer = services.send_message(conversation=conversation, text="Say the alphabet.", parent=None)
print(answer.request_id)
"""

STORED = """
import json
from apps.chat.models import Message
print(json.dumps(list(Message.objects.filter(conversation__messages__request_id={!r}).order_by("created_at", "role")
    .values_list("role", "status", "text"))))
"""


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with Installation(free_port(), worker="benchmarks.fake_worker") as running:
        running.deploy_fake(MODEL, step_seconds=STEP_SECONDS)
        yield running


class Person:
    """Somebody who is signed in, and a program with a key of theirs."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._cookie = f"sessionid={self._run(SESSION)}"

    def ask(self) -> str:
        """The id of a request of which an answer is stored as being written."""
        return self._run(ASK)

    def stored(self, request_id: str) -> list[list[str]]:
        return json.loads(self._run(STORED.format(request_id)))

    def page(self) -> tuple[int, Headers, str]:
        return self._get("/chat/", {"Cookie": self._cookie})

    def models(self) -> tuple[int, Headers, str]:
        return self._get("/v1/models", {"Authorization": f"Bearer {self._installation.key}"})

    def socket(self) -> ClientConnection:
        address = self._installation.url.replace("http", "ws") + "/ws/streams/"
        return connect(address, additional_headers={"Cookie": self._cookie}, origin=self._installation.url)

    def _run(self, code: str) -> str:
        return self._installation.manage("shell", "--verbosity", "0", "--command", code).strip()

    def _get(self, path: str, headers: dict[str, str]) -> tuple[int, Headers, str]:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self._installation.url + path, headers=headers)
            ) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()


def read_to_the_end(socket: ClientConnection, request_id: str) -> str:
    """What a tab gets of an answer, from its first word."""
    socket.send(json.dumps({"command": "subscribe", "request_id": request_id}))
    text = ""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=20))
        for _, event, data in message.get("entries", []):
            text += data.get("text", "")
            if event in {"done", "error"}:
                return text


def wait_for(what: Callable[[], object], wanted: object, seconds: float = 30) -> None:
    gives_up = time.monotonic() + seconds
    while what() != wanted:
        assert time.monotonic() < gives_up, what()
        time.sleep(0.3)


def test_answers_outlive_a_restart_of_postgresql(installation: Installation) -> None:
    servers, person = installation.servers, Person(installation)
    assert (person.page()[0], person.models()[0]) == (200, 200)
    before = [installation.pid_of(name) for name in PROCESSES]

    with person.socket() as socket:
        request_id = person.ask()
        servers.stop_server("postgres")
        status, headers, page = person.page()
        assert (status, headers["Retry-After"]) == (503, "5")
        assert "The database is being restarted" in page
        time.sleep(1.1)  # a key is remembered for a second
        status, headers, body = person.models()
        assert (status, headers["Retry-After"]) == (503, "5")
        assert json.loads(body)["error"]["type"] == "service_unavailable"
        assert read_to_the_end(socket, request_id) == WRITTEN

    time.sleep(3)  # it is tried to be settled, in vain
    servers.start_server("postgres", servers.postgres)
    wait_for(lambda: (person.page()[0], person.models()[0]), (200, 200))
    wait_for(lambda: person.stored(request_id), [["user", "done", "Say the alphabet."], ["assistant", "done", WRITTEN]])

    with person.socket() as socket:
        again = person.ask()
        assert read_to_the_end(socket, again) == WRITTEN
    wait_for(lambda: person.stored(again)[1], ["assistant", "done", WRITTEN])
    assert len(person.stored(request_id)) == 2
    assert [installation.pid_of(name) for name in PROCESSES] == before


def test_a_restart_of_two_seconds_is_only_waited_for(installation: Installation) -> None:
    servers, person = installation.servers, Person(installation)
    assert person.page()[0] == 200
    servers.stop_server("postgres")
    servers.start_server("postgres", servers.postgres)
    assert (person.page()[0], person.models()[0]) == (200, 200)
