"""A real worker process under a test that stands for the reconciler and for who asks."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis

from apps.serving import requests
from apps.serving.broker import infer_message
from contracts import names
from contracts.messages import InferenceRequest, RevisionReport, RevisionSpec, WorkerLease

ROOT = Path(__file__).resolve().parent.parent.parent


class WorkerProcess:
    """Use as a context manager. `confine` is called in the new process before it becomes the worker."""

    def __init__(self, app: str = "workers.app", confine: Callable[[], None] = lambda: None) -> None:
        self._redis = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._command = [sys.executable, "-m", "celery", "--quiet", "-A", app, "worker", "--pool", "threads"]
        self._command += ["--concurrency", "4", "-Q", "idle", "--without-gossip", "--without-mingle"]
        self._command += ["-n", f"{uuid.uuid4().hex}@%h"]
        self._confine = confine

    def __enter__(self) -> "WorkerProcess":
        self._log = tempfile.TemporaryFile("w+")
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log, preexec_fn=self._confine
        )
        self.wait_for(lambda: self._lease() is not None)
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()

    def want(self, *specs: RevisionSpec) -> None:
        """As the reconciler does: these are to be served, and by this worker."""
        lease = self._lease()
        assert lease is not None
        placed = json.dumps([lease.worker_id])
        with self._redis.pipeline() as pipe:
            pipe.delete(names.REVISIONS_KEY, names.PLACEMENTS_KEY)
            for spec in specs:
                pipe.hset(names.REVISIONS_KEY, spec.key, spec.to_json())
                pipe.hset(names.PLACEMENTS_KEY, spec.key, placed)
            pipe.set(names.RECONCILED_KEY, placed)
            pipe.execute()

    def report(self, key: str) -> RevisionReport:
        lease = self._lease()
        return (lease.revisions if lease else {}).get(key) or RevisionReport("unknown")

    def state(self, key: str, state: str, *, generation: int = 1) -> RevisionReport:
        """Wait until the worker says so of this generation."""
        self.wait_for(lambda: (self.report(key).state, self.report(key).generation) == (state, generation))
        return self.report(key)

    def answer(self, spec: RevisionSpec, inputs: dict[str, Any], **parameters: Any) -> requests.Transcript:
        request = InferenceRequest(
            uuid.uuid4().hex, spec.deployment, spec.task, inputs, parameters, revision=spec.key, deadline=2e9 * 2
        )
        queue = names.queue_name(spec.key)
        requests.save(request, owner="1", queue=queue)
        self._redis.lpush(queue, infer_message(request.request_id, 1, queue))
        self.wait_for(lambda: requests.transcript(request.request_id).is_finished)
        return requests.transcript(request.request_id)

    def wait_for(self, what: Callable[[], bool], seconds: float = 40) -> None:
        gives_up = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, f"the worker ended: {self.process.returncode}\n{self.log()}"
            assert time.monotonic() < gives_up, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:]

    def _lease(self) -> WorkerLease | None:
        leases: Iterable[bytes] = self._redis.hvals(names.WORKERS_KEY)
        found = (WorkerLease.from_json(row) for row in leases)
        return next((lease for lease in found if lease.pid == self.process.pid), None)


def confined_to(address_space: int) -> Callable[[], None]:
    """Who asks for more gets a MemoryError."""
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
