"""A worker without Celery and without a model: it repeats the user's last message, word by word."""

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import redis

from contracts import names
from contracts.messages import Event, InferenceRequest, Outcome, RevisionSpec, StreamEvent
from workers.host import Host
from workers.loaded import Progress
from workers.streams import RedisStreams


@dataclass(frozen=True, slots=True)
class FakeStats:
    running: int = 0
    waiting: int = 0
    slots: int = 4
    steps: int = 1


@dataclass
class EchoEngine:
    """Each word of the last message is a token; its id is its place. `gate` holds the answer back."""

    streams: RedisStreams
    gate: threading.Event = field(default_factory=threading.Event)
    pause: float = 0.0
    fail_with: dict | None = None
    aborted: set[str] = field(default_factory=set)
    seen: list[InferenceRequest] = field(default_factory=list)
    waiting: int = 0
    busy: float = 0.0

    def submit(self, request: InferenceRequest) -> Future:
        self.seen.append(request)
        self.aborted.discard(request.request_id)
        pool = ThreadPoolExecutor(1)
        return pool.submit(self._answer, request)

    def abort(self, request_id: str) -> None:
        self.aborted.add(request_id)

    def stats(self) -> FakeStats:
        return FakeStats(waiting=self.waiting)

    def busy_since(self) -> float:
        return self.busy

    def close(self, drain: bool = True) -> None:
        pass

    def _answer(self, request: InferenceRequest) -> Outcome | None:
        if self.fail_with:
            self._write(request, Event.ERROR, self.fail_with)
            return None
        self._write(
            request,
            Event.STARTED,
            {"prompt_tokens": 3, "cached_tokens": 0, "context_length": 2048, "queue_time": 0.0},
        )
        text = request.inputs.get("prompt") or request.inputs["messages"][-1]["content"]
        words = text.split(" ")
        reason = "stop"
        for place, word in list(enumerate(words))[len(request.resume_token_ids) :]:
            time.sleep(self.pause)
            self.gate.wait(10)
            if request.request_id in self.aborted:
                reason = "abort"
                break
            self._write(request, Event.DELTA, {"text": word if place == 0 else " " + word, "token_ids": [place]})
        outcome = Outcome(finish_reason=reason, prompt_tokens=3, completion_tokens=len(words), duration=0.5)
        self._write(request, Event.DONE, asdict(outcome))
        return outcome

    def _write(self, request: InferenceRequest, event: Event, data: dict) -> None:
        self.streams.write([StreamEvent(request.request_id, event, data)])


class FakeWorker:
    """A host with an EchoEngine for the deployment `echo`. `serve` stands in for the broker."""

    def __init__(self, client: redis.Redis, settle: Callable[[str], None]) -> None:
        self.listening: list[str] = []
        self.host = Host(
            client, self._load, self.listening.append, self.listening.remove, spawn=lambda job: job(), drain_grace=0
        )
        self.settle = settle
        self.sent: list[InferenceRequest] = []
        self.broken = {"broken"}  # artifacts that cannot be loaded
        self.threads: list[threading.Thread] = []
        self.engine: EchoEngine

    def _load(self, spec: RevisionSpec, streams: RedisStreams, progress: Progress) -> EchoEngine:
        if spec.artifact.rpartition("/")[2] in self.broken:
            raise ValueError("model.onnx is missing")
        self.engine = EchoEngine(streams)
        self.engine.gate.set()
        return self.engine

    def start(self) -> "FakeWorker":
        self.host._keep_lease()
        return self

    def follow(self) -> "FakeWorker":
        """Load and let go of what the reconciler says, and say so."""
        self.host._follow()
        self.host._keep_lease()
        return self

    def serve(self, request: InferenceRequest, queue: str = "") -> None:
        """Take the request as the broker would deliver it, in a thread of its own."""
        self.sent.append(request)
        thread = threading.Thread(target=self.host.infer, args=(request.request_id, request.attempt))
        thread.start()
        self.threads.append(thread)

    def serve_queues(self, stop: threading.Event) -> None:
        """Take messages from the broker's lists, as Celery would, until `stop` is set."""
        while not stop.is_set():
            if self.listening and (taken := self.host.client.brpop(list(self.listening), timeout=0.05)):
                request_id, _ = json.loads(base64.b64decode(json.loads(taken[1])["body"]))[0]
                payload = self.host.client.hget(names.request_key(request_id), "payload")
                if payload is not None:
                    self.serve(InferenceRequest.from_json(payload))

    def finish(self) -> None:
        """Wait for every answer and settle it, as the settle task would."""
        self.wait()
        for request in self.sent:
            self.settle(request.request_id)
        self.threads.clear()
        self.sent.clear()

    def wait(self) -> None:
        """Until nothing is being served."""
        for thread in self.threads:
            thread.join(10)
        for place in list(self.host.running.places.values()):
            place.left.wait(10)

    def lose_lease(self) -> None:
        self.host.client.hdel(names.WORKERS_KEY, self.host.worker_id)
