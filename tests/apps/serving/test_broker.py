"""Our message beside the one that Celery makes."""

import base64
import json

import pytest
from celery import current_app

from apps.serving import connection
from apps.serving.broker import infer_message
from contracts import names

pytestmark = pytest.mark.integration


def test_message_is_celery_s_own() -> None:
    current_app.send_task(names.INFER_TASK, args=["r1", 2], queue="q", task_id="r1", ignore_result=True)
    theirs = json.loads(connection.client().lpop("q"))
    ours = json.loads(infer_message("r1", 2, "q"))
    for message in (theirs, ours):
        message["headers"].pop("origin")
        message["properties"].pop("delivery_tag")
        message["properties"].pop("reply_to")
        message["properties"]["delivery_info"].pop("exchange")
        message["headers"] = {name: value for name, value in message["headers"].items() if value is not None}
    assert json.loads(base64.b64decode(ours.pop("body"))) == json.loads(base64.b64decode(theirs.pop("body")))
    theirs["headers"]["argsrepr"] = ours["headers"]["argsrepr"]
    assert ours == theirs
