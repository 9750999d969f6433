"""Requests that a thread waits for."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from apps.quotas import waiting
from apps.serving.connection import client
from contracts import names

REQUEST = "req-waiting"
DONE = {"event": "done", "data": json.dumps({"finish_reason": "stop"})}


def end_it() -> None:
    client().xadd(names.stream_key(REQUEST), DONE, id="1-0")


@pytest.mark.django_db(transaction=True)
def test_who_waits_keeps_no_connection_to_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    threading.Timer(0.3, end_it).start()
    held: list[object] = []

    class Watched:
        def xread(self, *args: Any, **options: Any) -> Any:
            held.append(connection.connection)
            return client().xread(*args, **options)

    ended = with_client(Watched, lambda: waiting.ended(REQUEST, 10))
    assert ended is not None and ended.outcome == {"finish_reason": "stop"}
    assert set(held) == {None}


@pytest.mark.django_db
def test_within_a_transaction_the_connection_stays() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    end_it()
    assert waiting.ended(REQUEST, 10) is not None
    assert connection.connection is not None


@pytest.mark.django_db
def test_an_answer_that_takes_longer_than_the_client_waits_for_redis_is_waited_for() -> None:
    """The client takes a server that says nothing for longer than its time limit for dead."""
    impatient = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, socket_timeout=2.5)
    threading.Timer(3.5, end_it).start()
    began = time.monotonic()
    ended = with_client(lambda: impatient, lambda: waiting.ended(REQUEST, 20))
    assert ended is not None and ended.outcome == {"finish_reason": "stop"}
    assert time.monotonic() - began > 3


def with_client(made: Callable[[], Any], act: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        one = made()
        patch.setattr(waiting, "client", lambda: one)
        return act()
