"""The one task of this side: serve a request."""

import importlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import redis
from celery import shared_task
from celery.worker.strategy import default

from contracts import anomaly, few_shot, names
from contracts.messages import RevisionSpec
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.cache import hold
from workers.host import Host
from workers.loaded import Engine, Progress
from workers.running import WouldWait
from workers.streams import RedisStreams

log = logging.getLogger(__name__)

_host: Host | None = None


def start(
    client: redis.Redis,
    listen: Callable[[str], None],
    unlisten: Callable[[str], None],
    told: Callable[[], None],
    wake_settler: Callable[[], None],
) -> None:
    """Make this process a host. Called once, when Celery is ready."""
    global _host
    _host = Host(client, load, listen, unlisten, told=told, wake_settler=wake_settler)
    _host.start()


def stop() -> None:
    """Close in the background: Celery's warm shutdown waits for tasks that wait for room. Not a daemon: the process
    ends when everything is closed and what ran is left to another worker."""
    if _host is not None:
        threading.Thread(target=_host.close, name="close").start()


_ENCODERS = {
    "feature-extraction": "workers.pipelines.feature_extraction",
    "text-classification": "workers.pipelines.text_classification",
    "image-feature-extraction": "workers.pipelines.image_feature_extraction",
    "zero-shot-image-classification": "workers.pipelines.zero_shot_image_classification",
    "visual-question-answering": "workers.pipelines.visual_question_answering",
    few_shot.TASK: "workers.pipelines.few_shot_classification",
}
TASKS = ("text-generation", *_ENCODERS, anomaly.TASK)


def load(spec: RevisionSpec, streams: RedisStreams, progress: Progress) -> Engine:
    """A started engine for the revision. Raises ValueError for a task that nobody here serves."""
    # Imported when the first model is loaded, so that the process answers Celery at once.
    device, engine = device_of(spec), None
    if spec.task == "text-generation":
        from workers.pipelines import text_generation

        engine = text_generation.load_engine(Path(spec.artifact), spec, streams, device=device, progress=progress)
    elif spec.task in _ENCODERS:
        pipeline = importlib.import_module(_ENCODERS[spec.task])
        engine = pipeline.load_engine(Path(spec.artifact), spec, streams, _machine(device), progress)
    elif spec.task == anomaly.TASK:
        from workers.pipelines import anomaly_detection

        engine = anomaly_detection.load_engine(
            Path(spec.artifact), spec, streams, _machine(device), progress, folder=_folder
        )
    else:
        raise ValueError(f"this release does not serve {spec.task}; it serves {', '.join(TASKS)}")
    engine.start()
    return cast(Engine, engine)


@contextmanager
def _folder(artifact: str, digest: str) -> Iterator[Path]:
    """Of a detector, which a request names; kept from being removed while it is read."""
    from workers.backends.base import BackendError

    try:
        held = hold(artifact, digest)
    except ArtifactError as error:
        raise BackendError(str(error)) from error
    try:
        yield held.folder
    finally:
        held.release()


@cache
def _machine(device: str) -> Any:
    """One for all encoders of this process: they share its cores."""
    from workers.pipelines.encoder_loading import Machine

    return Machine(device)


def device_of(spec: RevisionSpec) -> str:
    """cpu, cuda or tensorrt: what the revision asks for, else what this worker is set to."""
    return os.environ.get("WORKER_DEVICE", "cpu") if spec.provider == "auto" else spec.provider


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., None]:
    """What Celery's consumer does with a message: the request is claimed and handed to its engine where it arrives,
    which takes a third of the processor that a Request object, a thread of the pool and a tracer take. What would have
    to wait goes Celery's usual way, and so does what cannot be read."""
    usual = default(task, app, consumer)

    def take(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        try:
            (request_id, attempt), *_ = json.loads(message.body)
        except (ValueError, TypeError):
            usual(message, body, ack, reject, callbacks)
            return
        try:
            _served_by().infer(request_id, attempt, may_wait=False)
        except WouldWait:
            usual(message, body, ack, reject, callbacks)
            return
        except Exception:  # one request must not end the consumer; recovery sends again what nobody has claimed
            log.exception("request not taken", extra={"request_id": request_id})
        message.ack_log_error(log, consumer.connection_errors)

    return take


@shared_task(name=names.INFER_TASK, Strategy="workers.tasks.infer:strategy")
def infer(request_id: str, attempt: int) -> None:
    _served_by().infer(request_id, attempt)


def _served_by() -> Host:
    if _host is None:
        raise RuntimeError("the worker has not started its host")
    return _host
