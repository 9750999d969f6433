"""Celery application of worker-train: `celery -A workers.train worker --pool threads --concurrency 1 -Q train`.

It starts one process a job and watches it. Settings: REDIS_URL, ARTIFACTS_DIR or VAR_DIR.
"""

import os
import sys
from typing import Any

from celery import Celery, signals

from contracts import names
from workers import logs

REDIS_URL = os.environ.get("REDIS_URL")
if not REDIS_URL:
    sys.exit("workers: REDIS_URL is not set. Start everything with `make run`, or name a Redis server.")

app = Celery("train", broker=REDIS_URL, include=["workers.tasks.job"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,  # a job whose worker died is reported as interrupted, by its heartbeat
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    task_default_queue=names.TRAIN_QUEUE,
)


@signals.setup_logging.connect
def set_up_logging(**kwargs: Any) -> None:
    logs.set_up("worker-train")


@signals.worker_ready.connect
def remove_leftovers(**kwargs: Any) -> None:
    from workers.tasks import job

    job.start()
