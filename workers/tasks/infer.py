"""The one task of this side: serve a request."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import redis
from celery import Task, shared_task

from contracts import names
from contracts.messages import RevisionSpec
from workers.host import Engine, Host
from workers.streams import RedisStreams

_host: Host | None = None


def start(client: redis.Redis, listen: Callable[[str], None], unlisten: Callable[[str], None]) -> None:
    """Make this process a host. Called once, when Celery is ready."""
    global _host
    _host = Host(client, load, listen, unlisten)
    _host.start()


def stop() -> None:
    """Drain in the background: Celery's warm shutdown waits for the tasks that still run."""
    if _host is not None:
        threading.Thread(target=_host.close, name="close", daemon=True).start()


def load(spec: RevisionSpec, streams: RedisStreams) -> Engine:
    # Imported when the first model is loaded, so that the process answers Celery at once.
    from workers.pipelines.text_generation import load_engine

    if spec.task != "text-generation":
        raise ValueError(f"this release serves text-generation, not {spec.task}")
    device = os.environ.get("WORKER_DEVICE", "cpu")
    engine = load_engine(Path(spec.artifact), spec, streams, device=device)
    engine.start()
    return engine


@shared_task(name=names.INFER_TASK, bind=True)
def infer(self: Task, request_id: str, attempt: int) -> None:
    if _host is None:
        raise RuntimeError("the worker has not started its host")
    if _host.infer(request_id, attempt):
        self.app.send_task(names.SETTLE_TASK, args=[request_id], queue=names.APP_QUEUE, ignore_result=True)
