"""A host follows its placements, keeps its lease and buries the dead."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace

import pytest
import redis

from contracts import names
from contracts.messages import Event, InferenceRequest, RevisionSpec, StreamEvent, WorkerLease
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

    def busy_since(self):
        return 0.0

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
        self.folders: list[str] = []
        self.told = 0
        self.host = Host(
            client,
            self.load,
            self.queues.append,
            self.queues.remove,
            spawn=lambda job: job(),
            told=self.hear,
            drain_grace=0,
        )

    def hear(self):
        self.told += 1

    def load(self, spec, streams, progress):
        if spec.artifact == "broken":
            raise ValueError("model.onnx is missing")
        self.folders.append(spec.artifact)
        self.engines.append(StillEngine())
        return self.engines[-1]

    def want(self, *specs, workers=None):
        """Publish as the reconciler does, and follow."""
        workers = [self.host.worker_id] if workers is None else workers
        self.client.delete(names.REVISIONS_KEY, names.PLACEMENTS_KEY)
        self.client.set(names.RECONCILED_KEY, json.dumps(workers))
        for spec in specs:
            self.client.hset(names.REVISIONS_KEY, spec.key, spec.to_json())
            self.client.hset(names.PLACEMENTS_KEY, spec.key, json.dumps(workers))
        self.host._follow()

    def lease(self):
        self.host._keep_lease()
        return WorkerLease.from_json(self.client.hget(names.WORKERS_KEY, self.host.worker_id))

    def states(self):
        return {key: report.state for key, report in self.lease().revisions.items()}


@pytest.fixture
def bench(client):
    return Bench(client)


CHAT = RevisionSpec("chat@1", "chat", "text-generation", "artifact", "1" * 64)
BROKEN = RevisionSpec("broken@1", "broken", "text-generation", "broken", "3" * 64)


def queues(bench, key):
    return [names.queue_name(key), names.queue_name(key, bench.host.worker_id)]


def test_placed_revision_is_loaded_and_listened_to(bench):
    bench.want(CHAT)
    assert bench.queues == queues(bench, "chat@1")
    lease = bench.lease()
    report = lease.revisions["chat@1"]
    assert (report.state, report.running, report.waiting, report.slots, report.generation) == ("READY", 2, 1, 16, 1)
    assert (lease.pid, lease.cpus > 0, 0 < lease.memory_free <= lease.memory_total) == (os.getpid(), True, True)
    assert 0 < lease.expires - time.time() <= names.LEASE_TTL
    assert bench.told == 1


def test_same_wish_loads_nothing_twice(bench):
    bench.want(CHAT)
    bench.want(replace(CHAT, memory_bytes=5, weight=10))
    assert len(bench.engines) == 1


@pytest.mark.parametrize("change", [{"digest": "2" * 64}, {"generation": 2}, {"max_batch_size": 4}])
def test_changed_revision_is_loaded_again_after_draining(bench, change):
    bench.want(CHAT)
    bench.want(replace(CHAT, **change))
    assert [engine.closed for engine in bench.engines] == [True, None]
    assert bench.queues == queues(bench, "chat@1")


def test_revision_that_is_placed_elsewhere_is_unloaded(bench):
    bench.want(CHAT)
    bench.client.hset(names.PLACEMENTS_KEY, "chat@1", json.dumps(["other"]))
    bench.host._follow()
    assert (bench.engines[0].closed, bench.queues, bench.states()) == (True, [], {})


def test_placements_made_without_this_worker_are_not_followed(bench):
    bench.want(CHAT)
    bench.want(workers=["other"])
    assert bench.states() == {"chat@1": "READY"}


def test_redis_that_lost_its_data_changes_nothing(bench, client):
    bench.want(CHAT)
    client.flushdb()
    bench.host._follow()
    assert bench.states() == {"chat@1": "READY"}


def test_failure_is_told_with_its_reason_and_does_not_stop_others(bench):
    bench.want(BROKEN, CHAT)
    reports = bench.lease().revisions
    assert {key: report.state for key, report in reports.items()} == {"broken@1": "FAILED", "chat@1": "READY"}
    assert reports["broken@1"].reason == "ValueError: model.onnx is missing"
    bench.want(CHAT)
    assert bench.states() == {"chat@1": "READY"}


def test_too_large_a_revision_is_refused_with_both_sizes(bench):
    bench.want(replace(CHAT, memory_bytes=10**15))
    report = bench.lease().revisions["chat@1"]
    assert report.state == "FAILED"
    assert re.fullmatch(rf"needs 1000000\.0 GB, [\d.]+ GB free on {re.escape(socket.gethostname())}", report.reason)


def test_failed_load_is_tried_again_when_the_files_change(bench, tmp_path):
    spec = replace(CHAT, artifact=str(tmp_path))
    working, bench.host.load = bench.host.load, lambda *args: (_ for _ in ()).throw(OSError("model.onnx is gone"))
    bench.want(spec)
    bench.host.load = working
    bench.host._follow()
    assert bench.states() == {"chat@1": "FAILED"}
    (tmp_path / "model.onnx").write_bytes(b"x")
    bench.host._follow()
    assert bench.states() == {"chat@1": "READY"}


def dead_pid():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_revision_that_killed_three_processes_is_given_up(bench, client):
    row = json.dumps({"host": socket.gethostname(), "pid": dead_pid()})
    for worker in "abc":
        client.hset(names.LOADS_KEY, names.load_field("chat@1", 1, worker), row)
    bench.want(CHAT)
    report = bench.lease().revisions["chat@1"]
    assert (report.state, report.reason.startswith("3 worker processes ended while")) == ("FAILED", True)
    bench.want(replace(CHAT, generation=2))
    assert bench.states() == {"chat@1": "READY"}


def test_revision_that_works_is_forgiven(bench, client):
    client.hset(
        names.LOADS_KEY, names.load_field("chat@1", 1, "a"), json.dumps({"host": socket.gethostname(), "pid": 0})
    )
    bench.want(CHAT)
    bench.host._watch()
    assert client.hlen(names.LOADS_KEY) == 0


def test_listening_that_came_to_nothing_is_tried_again(bench):
    bench.want(CHAT)
    bench.queues.clear()
    bench.host._watch()
    assert bench.queues == queues(bench, "chat@1")


def submit(client, text="", **fields):
    request = InferenceRequest("r", "chat", "text-generation", {"prompt": text}, revision="chat@1")
    values = {"payload": request.to_json(), "attempt": 1, "state": "queued", **fields}
    client.hset(names.request_key("r"), mapping=values)


def test_closing_gives_the_lease_back_and_leaves_requests_to_others(bench, client):
    bench.want(CHAT)
    bench.lease()
    bench.host.close()
    assert bench.engines[0].closed is False
    assert client.hgetall(names.WORKERS_KEY) == {}


def test_request_of_a_closed_engine_is_handed_back(bench, client):
    bench.want(CHAT)
    submit(client)
    bench.engines[0].answers["r"] = closed = Future()
    closed.set_exception(EngineClosed("closed"))
    assert bench.host.infer("r", 1) is True
    assert client.xlen(names.stream_key("r")) == 0
    assert client.hmget(names.request_key("r"), "state", "worker") == [b"running", None]


def test_request_of_a_revision_that_was_let_go_is_handed_back(bench, client):
    submit(client)
    assert bench.host.infer("r", 1) is False
    assert client.hmget(names.request_key("r"), "state", "worker") == [b"running", None]


def test_failed_request_gets_an_error_event(bench, client):
    bench.want(CHAT)
    submit(client)
    bench.engines[0].answers["r"] = failed = Future()
    failed.set_exception(MemoryError())
    assert bench.host.infer("r", 1) is True
    ((_, fields),) = client.xrange(names.stream_key("r"))
    assert fields[b"event"] == b"error"
    assert b"MemoryError" in fields[b"data"]


def test_dead_process_of_this_machine_is_buried_and_others_are_left(bench, client):
    gone = dead_pid()
    rows = {
        "dead": (socket.gethostname(), gone),
        "alive": (socket.gethostname(), os.getpid()),
        "elsewhere": ("another-host", gone),
    }
    for worker_id, (host, pid) in rows.items():
        lease = WorkerLease(worker_id, host, pid, time.time() + 5, {})
        client.hset(names.WORKERS_KEY, worker_id, lease.to_json())
    bench.host.leases.bury_the_dead()
    assert set(client.hkeys(names.WORKERS_KEY)) == {b"alive", b"elsewhere"}


def test_stop_that_came_first_is_heard(bench, client):
    bench.want(CHAT)
    submit(client, stop="1")
    bench.engines[0].answers["r"] = done = Future()
    done.set_result(None)
    bench.host.infer("r", 1)
    assert bench.engines[0].aborted == ["r"]


def test_stop_between_claim_and_submit_is_heard(bench, client):
    bench.want(CHAT)
    submit(client)
    engine = bench.engines[0]
    take = engine.submit

    def stopped_meanwhile(request):
        bench.host._abort(request.request_id)
        engine.aborted.clear()  # the engine did not know it yet
        return take(request)

    engine.submit = stopped_meanwhile
    bench.host.infer("r", 1)
    assert engine.aborted == ["r"]


def test_claim_that_fails_keeps_no_place(bench, client, monkeypatch):
    bench.want(CHAT)
    submit(client)

    def no_redis(*args):
        raise redis.ConnectionError("down")

    with monkeypatch.context() as patch:
        patch.setattr(bench.host.streams, "claim", no_redis)
        with pytest.raises(redis.ConnectionError):
            bench.host.infer("r", 1)
    assert bench.host.running.places == {}
    assert bench.host.infer("r", 1) is True


@pytest.mark.parametrize(("length", "is_elsewhere"), [(100, False), (5000, True)])
def test_who_may_not_wait_is_not_kept_by_a_long_text(bench, client, length, is_elsewhere):
    bench.want(CHAT)
    submit(client, text="a" * length)
    jobs = []
    bench.host.spawn = jobs.append
    assert bench.host.infer("r", 1, may_wait=False) is True
    assert ("r" in bench.engines[0].answers) is not is_elsewhere
    for job in jobs:
        job()
    assert "r" in bench.engines[0].answers and list(bench.host.running.places) == ["r"]


def test_place_is_left_with_the_answer_and_the_thread_does_not_wait(bench, client):
    bench.want(CHAT)
    submit(client)
    assert bench.host.infer("r", 1) is True
    assert list(bench.host.running.places) == ["r"]
    bench.engines[0].answers["r"].set_result(None)
    assert bench.host.running.places == {}


def test_broker_that_is_gone_does_not_fail_who_writes(bench, client):
    def no_broker():
        raise ConnectionError("down")

    bench.host.wake_settler = no_broker
    bench.want(CHAT)
    submit(client)
    bench.host.infer("r", 1)
    assert bench.host.streams.write([StreamEvent("r", Event.DONE, {})]) == set()
    assert client.lrange(names.ENDED_KEY, 0, -1) == [b"r"]


def test_an_artifact_of_a_bucket_is_loaded_from_the_cache_and_let_go(bench, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTIFACT_CACHE", str(tmp_path))
    address, digest = bucket.add("tiny-1", {"model.onnx": b"m" * 3000})
    bench.want(replace(CHAT, artifact=address, digest=digest))
    assert (bench.folders, bench.states()) == ([str(tmp_path / digest)], {"chat@1": "READY"})
    held = bench.host.loaded["chat@1"].held
    bench.want()
    assert held._lock.closed
    assert (tmp_path / digest / "model.onnx").read_bytes() == b"m" * 3000


def test_a_store_that_does_not_answer_is_asked_again(bench, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTIFACT_CACHE", str(tmp_path))
    address, digest = bucket.add("tiny-1", {"model.onnx": b"m" * 3000})
    spec = replace(CHAT, artifact=address, digest=digest)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        bench.want(spec)
    report = bench.lease().revisions["chat@1"]
    assert (report.state, "cannot be reached" in report.reason) == ("FAILED", True)
    bench.host._follow()
    assert bench.states() == {"chat@1": "FAILED"}
    bench.host.loaded["chat@1"].retry_at = time.monotonic()
    bench.host._follow()
    assert bench.states() == {"chat@1": "READY"}
