"""A step that hangs ends the process, so that supervision starts it again."""

import os
import subprocess
import sys
import time

import redis

from contracts import names
from contracts.messages import WorkerLease

WORKER = """
import json, os, sys, threading, time
import redis
sys.path.insert(0, os.getcwd())
from contracts import names
from contracts.messages import InferenceRequest, RevisionSpec
from tests.workers.engine.conftest import FakeEncoder
from workers.backends.fake import FakeBackend
from workers.engine.engine import Engine
from workers.host import Host

class SleepingBackend(FakeBackend):
    def prefill(self, *args):
        time.sleep(600)

def load(spec, streams, progress):
    engine = Engine(SleepingBackend(), FakeEncoder(), streams)
    engine.start()
    return engine

client = redis.Redis.from_url(os.environ["REDIS_URL"])
host = Host(client, load, lambda queue: None, lambda queue: None, worker_id="sleeper")
client.hset(names.REVISIONS_KEY, "d@1", RevisionSpec("d@1", "d", "text-generation", "a", "0").to_json())
client.hset(names.PLACEMENTS_KEY, "d@1", json.dumps(["sleeper"]))
client.set(names.RECONCILED_KEY, json.dumps(["sleeper"]))
host.start()
while "d@1" not in host.loaded or host.loaded["d@1"].state != "READY":
    time.sleep(0.02)
host.loaded["d@1"].engine.submit(InferenceRequest("r", "d", "text-generation", {"ids": [1, 2]}))
time.sleep(60)
"""


def test_hanging_step_ends_the_process_and_leaves_its_evidence():
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", WORKER], env={**os.environ, "WORKER_STEP_LIMIT": "1"}, capture_output=True, timeout=50
    )
    assert done.returncode == 70, done.stderr.decode()[-2000:]
    assert time.monotonic() - started < 20
    assert b"a step hangs" in done.stdout + done.stderr
    lease = WorkerLease.from_json(client.hget(names.WORKERS_KEY, "sleeper"))
    assert lease.is_ready("d@1")  # until its five seconds are over, or the next process buries it
    assert client.hkeys(names.LOADS_KEY) == [names.load_field("d@1", 1, "sleeper").encode()]
