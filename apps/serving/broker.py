"""The message of a request as Celery's Redis transport keeps it, so that it can be sent in the script that saves the
request: one round trip instead of two, and neither without the other.

The form is Celery's message protocol 2 in kombu's virtual transport; a worker cannot tell it from one that
`send_task` has made (tests/apps/serving/test_broker.py compares the two).
"""

import base64
import json
import os
import socket

from contracts import names

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_ORIGIN = f"web{os.getpid()}@{socket.gethostname()}"


def infer_message(request_id: str, attempt: int, queue: str) -> str:
    """What is pushed to the list `queue` to have the request served."""
    body = json.dumps([[request_id, attempt], {}, _EMBED], separators=(",", ":")).encode()
    headers: dict[str, object] = {
        "lang": "py",
        "task": names.INFER_TASK,
        "id": request_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": request_id,
        "parent_id": None,
        "argsrepr": f"('{request_id}', {attempt})",
        "kwargsrepr": "{}",
        "origin": _ORIGIN,
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "correlation_id": request_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": f"{request_id}.{attempt}",
    }
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(message, separators=(",", ":"))
