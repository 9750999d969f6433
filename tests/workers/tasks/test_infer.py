"""What the consumer does with a message: beside the message's own form, everything is Celery's."""

import base64
import json
from types import SimpleNamespace

import pytest
import redis
from celery.utils.imports import symbol_by_name

from apps.serving.broker import infer_message
from workers.running import WouldWait
from workers.tasks import infer


class Message:
    def __init__(self, body):
        self.body, self.acked = body, 0

    def ack_log_error(self, logger, errors):
        self.acked += 1


class Served:
    def __init__(self, error=None):
        self.error, self.asked = error, []

    def infer(self, request_id, attempt, *, may_wait=True):
        self.asked.append((request_id, attempt, may_wait))
        if self.error:
            raise self.error


@pytest.fixture
def taking(monkeypatch):
    """Gives a message to the consumer; returns it, who served it, and what went Celery's usual way."""

    def take(body, error=None):
        usual, served = [], Served(error)
        monkeypatch.setattr(infer, "default", lambda *args: lambda message, *rest: usual.append(message))
        monkeypatch.setattr(infer, "_host", served)
        message = Message(body)
        infer.strategy(None, None, SimpleNamespace(connection_errors=(OSError,)))(message, None, None, None, None)
        return message, served, usual

    return take


def body_of(request_id, attempt):
    """As the web process makes it."""
    return base64.b64decode(json.loads(infer_message(request_id, attempt, "q"))["body"])


def test_a_request_is_served_where_it_arrives(taking):
    message, served, usual = taking(body_of("r", 2))
    assert (served.asked, message.acked, usual) == ([("r", 2, False)], 1, [])


def test_what_would_have_to_wait_goes_the_usual_way_and_is_not_acknowledged_here(taking):
    message, _, usual = taking(body_of("r", 1), WouldWait())
    assert (usual, message.acked) == ([message], 0)


@pytest.mark.parametrize("body", [b"{", b"3", b"[]", b"[[1]]"])
def test_what_cannot_be_read_goes_the_usual_way(taking, body):
    message, served, usual = taking(body)
    assert (usual, served.asked) == ([message], [])


@pytest.mark.parametrize("error", [redis.ConnectionError("down"), ValueError("another release"), KeyError("bug")])
def test_one_request_does_not_end_the_consumer(taking, caplog, error):
    message, _, usual = taking(body_of("r", 1), error)
    assert (message.acked, usual) == (1, [])
    assert caplog.records[-1].exc_info[1] is error and caplog.records[-1].request_id == "r"


def test_a_message_before_the_host_is_there_does_not_end_the_consumer(taking, monkeypatch):
    taking(body_of("r", 1))  # the strategy's parts are in place
    monkeypatch.setattr(infer, "_host", None)
    message = Message(body_of("r", 1))
    infer.strategy(None, None, SimpleNamespace(connection_errors=()))(message, None, None, None, None)
    assert message.acked == 1


def test_celery_is_told_of_the_strategy():
    assert infer.infer.Strategy == "workers.tasks.infer:strategy"
    assert symbol_by_name(infer.infer.Strategy) is infer.strategy
