"""Celery application of the GPU side: `celery -A workers.app worker --pool threads -Q idle`.

Requests are handed to their engines by the consumer itself (tasks/infer.py); threads of the pool take those that have
to wait for room.
Settings: REDIS_URL.
"""

import os
import sys
from typing import Any

import redis
from celery import Celery, signals

from contracts import names
from workers import logs

REDIS_URL = os.environ.get("REDIS_URL")
if not REDIS_URL:
    sys.exit("workers: REDIS_URL is not set. Start everything with `make run`, or name a Redis server.")

app = Celery("workers", broker=REDIS_URL, include=["workers.tasks.infer"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,  # recovery goes by the lease, not by the broker's visibility timeout
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=True,
    broker_connection_retry_on_startup=True,
    # No list of unacknowledged messages in Redis: two round trips a message, for what the lease does.
    # One list a queue instead of four: nothing here has a priority.
    broker_transport_options={"ack_emulation": False, "priority_steps": [0]},
    worker_hijack_root_logger=False,
    task_default_queue=names.IDLE_QUEUE,
)


@signals.setup_logging.connect
def set_up_logging(**kwargs: Any) -> None:
    logs.set_up("worker")


@signals.worker_ready.connect
def start_host(sender: Any, **kwargs: Any) -> None:
    from workers.tasks import infer

    node = sender.hostname

    def listen(queue: str) -> None:
        taking = sender.task_consumer  # None while there is no broker
        if taking is None or not taking.consuming_from(queue):
            app.control.add_consumer(queue, destination=[node])

    def unlisten(queue: str) -> None:
        app.control.cancel_consumer(queue, destination=[node])

    def told() -> None:
        app.send_task(names.RECONCILE_TASK, queue=names.APP_QUEUE, ignore_result=True, expires=5)

    def wake_settler() -> None:
        app.send_task(names.SETTLE_TASK, queue=names.APP_QUEUE, ignore_result=True)

    infer.start(redis.Redis.from_url(str(REDIS_URL)), listen, unlisten, told, wake_settler)


@signals.worker_shutting_down.connect
def stop_host(**kwargs: Any) -> None:
    from workers.tasks import infer

    infer.stop()
