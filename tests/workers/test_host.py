"""A host follows the desired deployments, keeps its lease and buries the dead."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import Future

import pytest
import redis

from contracts import names
from contracts.messages import InferenceRequest, RevisionSpec, WorkerLease
from tests.fakes import FakeStats
from workers.engine.mailbox import EngineClosed
from workers.host import Host


class StillEngine:
    """Takes requests and never answers."""

    def __init__(self):
        self.closed = None
        self.aborted = []
        self.answers: dict[str, Future] = {}

    def submit(self, request):
        return self.answers.setdefault(request.request_id, Future())

    def abort(self, request_id):
        self.aborted.append(request_id)

    def stats(self):
        return FakeStats(running=2, waiting=1, slots=16)

    def close(self, drain=True):
        self.closed = drain


@pytest.fixture
def client():
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    yield client
    client.close()


class Bench:
    def __init__(self, client):
        self.client = client
        self.queues: list[str] = []
        self.engines: list[StillEngine] = []
        self.host = Host(client, self.load, self.queues.append, self.queues.remove)

    def load(self, spec, streams):
        if spec.artifact == "broken":
            raise ValueError("model.onnx is missing")
        self.engines.append(StillEngine())
        return self.engines[-1]

    def want(self, *specs):
        self.client.delete(names.DEPLOYMENTS_KEY)
        for spec in specs:
            self.client.hset(names.DEPLOYMENTS_KEY, spec.name, spec.to_json())
        self.host._follow()

    def lease(self):
        self.host._keep_lease()
        return WorkerLease.from_json(self.client.hget(names.WORKERS_KEY, self.host.worker_id))


@pytest.fixture
def bench(client):
    return Bench(client)


CHAT = RevisionSpec("chat", "text-generation", "artifact", "1" * 64)


def test_wanted_deployment_is_loaded_and_listened_to(bench):
    bench.want(CHAT)
    assert bench.queues == ["deployment.chat"]
    lease = bench.lease()
    assert lease.deployments == {"chat": "READY"}
    assert (lease.running, lease.waiting, lease.slots, lease.pid) == (2, 1, 16, os.getpid())
    assert 0 < lease.expires - time.time() <= names.LEASE_TTL


def test_same_wish_loads_nothing_twice(bench):
    bench.want(CHAT)
    bench.want(CHAT)
    assert len(bench.engines) == 1


def test_new_version_replaces_the_old_after_draining(bench):
    bench.want(CHAT)
    bench.want(RevisionSpec("chat", "text-generation", "artifact", "2" * 64))
    assert [engine.closed for engine in bench.engines] == [True, None]
    assert bench.queues == ["deployment.chat"]


def test_deployment_that_is_not_wanted_any_more_is_unloaded(bench):
    bench.want(CHAT)
    bench.want()
    assert (bench.queues, bench.lease().deployments) == ([], {})


def test_failure_is_told_with_its_reason_and_does_not_stop_others(bench):
    broken = RevisionSpec("broken", "text-generation", "broken", "3" * 64)
    bench.want(broken, CHAT)
    lease = bench.lease()
    assert lease.deployments == {"broken": "FAILED", "chat": "READY"}
    assert lease.reasons == {"broken": "ValueError: model.onnx is missing"}
    bench.want(CHAT)
    assert bench.lease().deployments == {"chat": "READY"}


def test_closing_gives_the_lease_back_and_leaves_requests_to_others(bench, client):
    bench.want(CHAT)
    bench.lease()
    bench.host.close()
    assert bench.engines[0].closed is False
    assert client.hgetall(names.WORKERS_KEY) == {}


def test_request_of_a_closed_engine_is_not_called_failed(bench, client):
    bench.want(CHAT)
    request = InferenceRequest("r", "chat", "text-generation", {})
    client.hset(names.request_key("r"), mapping={"payload": request.to_json(), "attempt": 1, "state": "queued"})
    bench.engines[0].answers["r"] = closed = Future()
    closed.set_exception(EngineClosed("closed"))
    assert bench.host.infer("r", 1) is False
    assert client.xlen(names.stream_key("r")) == 0


def test_failed_request_gets_an_error_event(bench, client):
    bench.want(CHAT)
    request = InferenceRequest("r", "chat", "text-generation", {})
    client.hset(names.request_key("r"), mapping={"payload": request.to_json(), "attempt": 1, "state": "queued"})
    bench.engines[0].answers["r"] = failed = Future()
    failed.set_exception(MemoryError())
    assert bench.host.infer("r", 1) is True
    ((_, fields),) = client.xrange(names.stream_key("r"))
    assert fields[b"event"] == b"error"
    assert b"MemoryError" in fields[b"data"]


def test_dead_process_of_this_machine_is_buried_and_others_are_left(bench, client):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    rows = {
        "dead": (socket.gethostname(), gone.pid),
        "alive": (socket.gethostname(), os.getpid()),
        "elsewhere": ("another-host", gone.pid),
    }
    for worker_id, (host, pid) in rows.items():
        lease = WorkerLease(worker_id, host, pid, time.time() + 5, {})
        client.hset(names.WORKERS_KEY, worker_id, lease.to_json())
    bench.host._bury_the_dead()
    assert set(client.hkeys(names.WORKERS_KEY)) == {b"alive", b"elsewhere"}


def test_stop_that_came_first_is_heard(bench, client):
    bench.want(CHAT)
    request = InferenceRequest("r", "chat", "text-generation", {})
    client.hset(
        names.request_key("r"),
        mapping={"payload": request.to_json(), "attempt": 1, "state": "queued", "stop": "1"},
    )
    bench.engines[0].answers["r"] = done = Future()
    done.set_result(None)
    bench.host.infer("r", 1)
    assert bench.engines[0].aborted == ["r"]
