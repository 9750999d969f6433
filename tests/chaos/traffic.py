"""Clients that do what docs/api.md asks of them: repeat what had no answer, with the same Idempotency-Key."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests

from benchmarks.anomaly_outages import Feeder
from tests.e2e.stack import Stack

PATIENCE = 300.0  # seconds in which a request has to be answered in the end
HANGS = 150.0  # seconds after which a client gives a connection up
TOKENS = 12
AGAIN = (409, 503)  # still at work, or not now


class Lost(Exception):
    """Not answered in the end."""


class Client(threading.Thread):
    """Does one thing after another until it is stopped. `said` counts what came meanwhile and was repeated."""

    def __init__(self, url: str, key: str, model: str) -> None:
        super().__init__(daemon=True)
        self._api, self._model, self._stopped = url, model, threading.Event()
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {key}"
        self.said: Counter[str] = Counter()
        self.dishonest: list[str] = []  # refusals that do not say when to come again
        self.lost: list[str] = []
        self.answered = 0

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.act()
                self.answered += 1
            except Lost as error:
                self.lost.append(str(error))

    def act(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._stopped.set()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Once, however often it has to be sent. Raises Lost."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._until(lambda: self.session.post(self._api + path, json=body, headers=headers, timeout=HANGS), path)

    def get(self, path: str) -> dict[str, Any]:
        return self._until(lambda: self.session.get(self._api + path, timeout=HANGS), path)

    def _until(self, send: Callable[[], requests.Response], path: str) -> dict[str, Any]:
        until, last = time.monotonic() + PATIENCE, ""
        while time.monotonic() < until:
            try:
                answer = send()
            except requests.RequestException as error:
                self.said["no connection"] += 1
                last = str(error)
            else:
                if answer.status_code < 300:
                    found: dict[str, Any] = answer.json()
                    return found
                last = f"{answer.status_code} {answer.text[:200]}"
                self.said[str(answer.status_code)] += 1
                if answer.status_code == 503 and "Retry-After" not in answer.headers:
                    self.dishonest.append(f"{path}: {last}")
                if answer.status_code not in AGAIN:
                    self._note_end(path, last)
            time.sleep(0.3)
        raise Lost(f"{path}: {last}")

    def _note_end(self, path: str, said: str) -> None:
        """Of a request that ended with an error: it says so, and whoever asked asks again."""
        if not said.startswith(("5", "4")) or '"error"' not in said:
            self.dishonest.append(f"{path}: {said}")


class Program(Client):
    """Asks the chat model and waits for the whole answer."""

    def act(self) -> None:
        said = [{"role": "user", "content": "Tell a story."}]
        body = {"model": self._model, "messages": said, "max_tokens": TOKENS, "temperature": 0}
        found = self.post("/v1/chat/completions", body)
        assert found["choices"][0]["message"]["content"]


class Person(Client):
    """Begins a conversation, sends a message and comes back for the answer that is stored."""

    def __init__(self, url: str, key: str, model: str) -> None:
        super().__init__(url, key, model)
        self.conversations: list[str] = []
        self.failed: list[dict[str, Any]] = []  # errors of answers that were not written, each with a sentence

    def act(self) -> None:
        begin = {"model": self._model, "parameters": {"max_tokens": TOKENS, "temperature": 0}}
        conversation = self.post("/api/v1/conversations", begin)["id"]
        answer = self.post(f"/api/v1/conversations/{conversation}/messages", {"text": "Tell a story."})["answer"]
        self.conversations.append(conversation)
        until = time.monotonic() + PATIENCE
        while answer["status"] == "waiting":
            if time.monotonic() > until:
                raise Lost(f"an answer is waiting after {PATIENCE:g} s: {answer['request_id']}")
            time.sleep(0.3)
            answer = self.get(f"/api/v1/messages/{answer['id']}")
        if answer["status"] != "done":
            self.failed.append(answer["error"])

    def doubled(self) -> list[str]:
        """Conversations that have more or less than a question and its answer."""
        roles = {
            one: [message["role"] for message in self.get(f"/api/v1/conversations/{one}")["messages"]]
            for one in self.conversations
        }
        return [one for one, found in roles.items() if sorted(found) != ["assistant", "user"]]


class Trickle(Feeder):
    """Ten readings four times a second, each sent until it is taken in."""

    def __init__(self, stack: Stack, asset: str, begin: float) -> None:
        super().__init__(stack)
        self.daemon = True
        self.asset, self._at = asset, begin

    def run(self) -> None:
        while not self._stopped.is_set():
            self._at += 1
            self.send(self.asset, {f"s{key}": [[self._at, self._at % 7]] for key in range(10)})
            time.sleep(0.25)
