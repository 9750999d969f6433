"""Workers are killed and Redis is restarted while people and programs ask: what is lost, what is doubled.

Programs ask through HTTP, people through the services that their pages call (in a Django process of its own, so
that what PostgreSQL stores is checked too). A request is lost when it ends neither with an answer nor with an
error that says so; refusals (503 with Retry-After, nothing stored) and errors are counted by themselves.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from openai import APIError, APIStatusError, OpenAI

from contracts import names
from contracts.messages import WorkerLease
from tests.e2e.stack import EMAIL, ROOT, Stack, environment

ANSWER_SECONDS = 180  # after that a request counts as lost
TOKENS = 40
PROMPT = "Tell a story about number {}."

# Runs in the installation: one conversation after another until standard input is closed.
PEOPLE = """
import sys, threading, time
from django.db import OperationalError, close_old_connections
from apps.accounts.models import User
from apps.chat import services
from apps.chat.models import AnswerStatus
from apps.serving.services import NoWorker

person = User.objects.get(email={email!r})
stopped = threading.Event()
conversations, refused = [], [0]

def talk():
    while not stopped.is_set():
        close_old_connections()
        try:
            conversation = services.start_conversation(
                owner=person, deployment={model!r}, parameters=dict(max_tokens={tokens}, temperature=0)
            )
            _, answer = services.send_message(conversation=conversation, text="Tell a story.", parent=None)
        except NoWorker:
            conversation.delete()
            refused[0] += 1
            time.sleep(0.5)
            continue
        conversations.append(conversation)
        until = time.monotonic() + {patience}
        while time.monotonic() < until:
            answer.refresh_from_db()
            if answer.status != AnswerStatus.WAITING:
                break
            time.sleep(0.2)

threads = [threading.Thread(target=talk) for _ in range({people})]
[thread.start() for thread in threads]
sys.stdin.read()
stopped.set()
[thread.join() for thread in threads]
from apps.chat.models import Message
rows = [list(Message.objects.filter(conversation=one).values_list("role", "status")) for one in conversations]
answers = [status for row in rows for role, status in row if role == "assistant"]
import json
print(json.dumps(dict(
    asked=len(rows), refused=refused[0], lost=answers.count(AnswerStatus.WAITING),
    answered=answers.count(AnswerStatus.DONE), failed=answers.count(AnswerStatus.FAILED),
    duplicated=sum(len(row) != 2 for row in rows),
)))
"""


class Programs:
    """Clients of the API that ask one question after another."""

    def __init__(self, url: str, key: str, model: str, clients: int) -> None:
        self._client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=ANSWER_SECONDS)
        self._model = model
        self._stopped = threading.Event()
        self.counts: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(clients)
        self._futures = [self._pool.submit(self._ask_on, place) for place in range(clients)]

    def finish(self) -> dict[str, int]:
        self._stopped.set()
        for future in self._futures:
            future.result()
        return dict(self.counts)

    def _ask_on(self, place: int) -> None:
        while not self._stopped.is_set():
            self.counts["asked"] += 1
            self.counts[self._ask(place)] += 1

    def _ask(self, place: int) -> str:
        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=[{"role": "user", "content": PROMPT.format(place)}],
                max_tokens=TOKENS,
                temperature=0,
            )
        except APIStatusError as error:
            time.sleep(0.5)
            return "refused" if error.status_code == 503 else f"error_{error.status_code}"
        except APIError as error:
            return f"lost_{type(error).__name__}"
        return "answered" if answer.usage.completion_tokens == TOKENS else "short"


def run(stack: Stack, *, model: str, kills: int, restarts: int, clients: int = 6, people: int = 3) -> dict[str, Any]:
    """Outages under load, then the figures once everything has come to rest."""
    store = redis.Redis.from_url(setting(stack, "REDIS_URL"), decode_responses=True)
    key = stack.manage("create_api_key", EMAIL).strip()
    talks = start_people(stack, model, people)
    programs = Programs(stack.url, key, model, clients)
    wait_until_busy(store, model)
    done = [("worker", kill_workers(store, model)) for _ in range(kills)]
    done += [("redis", restart_redis(store, model)) for _ in range(restarts)]
    from_programs = programs.finish()
    out, _ = talks.communicate("", timeout=ANSWER_SECONDS + 60)
    from_people = json.loads(out.strip().splitlines()[-1])
    rest = wait_for_rest(store)
    lost = from_people["lost"] + sum(n for name, n in from_programs.items() if name.startswith("lost"))
    return {
        "kills": kills,
        "redis_restarts": restarts,
        "lost": lost,
        "duplicated": from_people["duplicated"],
        "ended_with_an_error": from_people["failed"]
        + sum(n for k, n in from_programs.items() if k.startswith("error")),
        "refused_with_503": from_people["refused"] + from_programs.get("refused", 0),
        "requests": from_people["asked"] + from_programs["asked"],
        **rest,
        "programs": from_programs,
        "people": from_people,
        "seconds_until_ready_max": round(max(seconds for _, seconds in done), 2),
    }


def start_people(stack: Stack, model: str, people: int) -> subprocess.Popen[str]:
    code = PEOPLE.format(email=EMAIL, model=model, tokens=TOKENS, people=people, patience=ANSWER_SECONDS)
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code],
        cwd=ROOT, env=environment(stack.var), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def setting(stack: Stack, name: str) -> str:
    lines = (stack.var / "env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))


def kill_workers(store: redis.Redis, model: str) -> float:
    """kill -9 of every worker in the middle of its work; seconds until one is ready again."""
    time.sleep(random.uniform(0.5, 3))
    for lease in leases(store):
        os.kill(lease.pid, signal.SIGKILL)
    return wait_until_busy(store, model)


def restart_redis(store: redis.Redis, model: str) -> float:
    time.sleep(random.uniform(1, 3))
    os.kill(int(store.info("server")["process_id"]), signal.SIGKILL)
    return wait_until_busy(store, model)


def leases(store: redis.Redis) -> list[WorkerLease]:
    found = [WorkerLease.from_json(row) for row in store.hvals(names.WORKERS_KEY)]
    return [lease for lease in found if lease.expires > time.time() and os.path.exists(f"/proc/{lease.pid}")]


def wait_until_busy(store: redis.Redis, model: str) -> float:
    """Until a live worker has the model and answers somebody with it; raises when that takes a minute."""
    started = time.monotonic()
    while time.monotonic() - started < 60:
        try:
            reports = [report for lease in leases(store) for report in lease.revisions.items()]
        except redis.RedisError:
            reports = []
        if any(key.startswith(f"{model}@") and one.state == "READY" and one.running for key, one in reports):
            return time.monotonic() - started
        time.sleep(0.1)
    raise RuntimeError("no worker is at work")


def wait_for_rest(store: redis.Redis, patience: float = 90) -> dict[str, int]:
    """What is still taken when nobody asks any more: everything should be zero."""
    until = time.monotonic() + patience
    while True:
        left = {
            "live_requests_afterwards": store.zcard(names.LIVE_REQUESTS_KEY)
            + sum(store.zcard(key) for key in store.scan_iter(names.live_key("*"))),
            "unsettled_afterwards": store.llen(names.ENDED_KEY),
            "slots_taken_afterwards": sum(one.running for lease in leases(store) for one in lease.revisions.values()),
        }
        if not any(left.values()) or time.monotonic() > until:
            return left
        time.sleep(0.5)
