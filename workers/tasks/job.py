"""The one task of worker-train: do a job."""

import os
import socket
from pathlib import Path

import redis
from celery import Task, shared_task

from contracts import names
from workers.jobs.folder import forget, sweep
from workers.jobs.journal import Journal
from workers.jobs.runner import run_job

_WORKER = f"{socket.gethostname()}-{os.getpid()}"


def artifacts_folder() -> Path:
    """The same default as deepseek_web.settings has."""
    return Path(os.environ.get("ARTIFACTS_DIR") or Path(os.environ.get("VAR_DIR", "var")) / "artifacts").resolve()


def start() -> None:
    """Remove what killed workers left."""
    sweep(artifacts_folder())
    forget(artifacts_folder())


@shared_task(name=names.RUN_JOB_TASK, bind=True)
def run(self: Task, job_id: str, attempt: int) -> None:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    if run_job(Journal(client, job_id, attempt, _WORKER), artifacts_folder()):
        self.app.send_task(names.JOB_ENDED_TASK, args=[job_id], queue=names.APP_QUEUE, ignore_result=True)
