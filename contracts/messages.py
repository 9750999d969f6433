"""Plain dataclasses that cross the process border as JSON.

`to_json` and `from_json` are the only way in and out; unknown fields are refused, so that two
releases that disagree notice it at the border.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self


class Event(StrEnum):
    """Kinds of entries in the stream of a request, in the order they may appear."""

    STARTED = "started"  # {prompt_tokens, cached_tokens, context_length, queue_time}
    # {text, token_ids, logprobs?}; text may be empty while bytes are held back. With a mixture of experts each of
    # logprobs has `experts`: for every layer those that were picked as the token was chosen
    DELTA = "delta"
    PROGRESS = "progress"  # {position, seconds?}: how many requests are served before this one, and the wait
    RESULT = "result"  # the whole answer of a task that does not stream
    LOG = "log"  # {line}: jobs only
    DONE = "done"  # Outcome as a dict
    ERROR = "error"  # {type, message, ...}: nothing follows


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"
    ERROR = "error"


class ErrorType(StrEnum):
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OVERLOADED = "overloaded"
    INVALID_REQUEST = "invalid_request"
    INTERNAL = "internal"


class Message:
    """Base of everything that crosses the border."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def to_json(self) -> str:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=dataclasses.asdict)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        if unknown := values.keys() - cls.__dataclass_fields__.keys():
            raise ValueError(f"{cls.__name__} does not know {', '.join(sorted(unknown))}")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class SamplingParams(Message):
    """How the next token is chosen. Defaults are greedy-free OpenAI defaults.

    Raises ValueError with `field: reason` for a value that cannot be used.
    """

    max_tokens: int = 1024
    temperature: float = 1.0  # 0 is greedy
    top_k: int = 0  # 0 is off
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    logprobs: int | None = None  # number of alternatives; None is off
    ignore_eos: bool = False  # benchmarks only

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name}: must be a finite number")
            if not low <= value <= high:
                raise ValueError(f"{name}: must be between {low:g} and {high:g}, got {value:g}")
        if self.logprobs is not None and not 0 <= self.logprobs <= 20:
            raise ValueError(f"logprobs: must be between 0 and 20, got {self.logprobs}")
        if len(self.stop) > 16 or any(not text or len(text) > 256 for text in self.stop):
            raise ValueError("stop: at most 16 strings of 1 to 256 characters")
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise ValueError("seed: must fit in 64 bits")


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("max_tokens", 1, 1_000_000),
    ("temperature", 0, 2),
    ("top_k", 0, 1_000_000),
    ("top_p", 0.0001, 1),
    ("min_p", 0, 1),
    ("repetition_penalty", 0.1, 10),
    ("frequency_penalty", -2, 2),
    ("presence_penalty", -2, 2),
)


@dataclass(frozen=True, slots=True)
class InferenceRequest(Message):
    """One request on its way to a worker."""

    request_id: str
    deployment: str
    task: str  # Hugging Face task name
    # text-generation: {"messages": [{role, content}]} or {"prompt": str}, {"texts": [str]}, {"images": [base64]};
    # zero-shot-image-classification takes either of the last two and answers with vectors of one space; pairs of both
    # are for its bridge, as is visual-question-answering (workers/pipelines/bridge.py)
    inputs: dict[str, Any]
    sampling_params: dict[str, Any] = field(default_factory=dict)
    revision: str = ""  # key of the revision that the router chose
    tenant: str = ""  # whom fairness counts this for
    conversation: str = ""  # requests of one conversation find their prefix again
    arrival_time: float = 0.0  # seconds since the epoch
    deadline: float = math.inf  # seconds since the epoch
    is_streamed: bool = True  # somebody reads the answer as it grows
    attempt: int = 1  # raised by recovery; an older attempt may not write any more
    resume_token_ids: list[int] = field(default_factory=list)  # streamed by an earlier attempt
    resume_text_length: int = 0  # characters streamed by an earlier attempt
    resume_seq: int = 0  # last seq of an earlier attempt


@dataclass(frozen=True, slots=True)
class Outcome(Message):
    """What a finished request carries in its `done` event. Times are in seconds."""

    finish_reason: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    compute_seconds: float = 0.0
    queue_time: float = 0.0
    time_to_first_token: float = 0.0
    duration: float = 0.0  # first token to last token; of other tasks from the first batch to the last
    prepare_time: float = 0.0  # tokenising, decoding pictures
    batch_size: int = 0  # of the largest batch it was part of; 0 for generation


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of one request on its way to the stream. `data` is JSON-serialisable."""

    request_id: str
    event: Event
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RevisionSpec(Message):
    """What a worker needs to serve one revision of a deployment."""

    key: str  # names.revision_key(deployment, number): its queue and its metrics go by it
    deployment: str
    task: str
    artifact: str  # folder with manifest.json and what it lists
    digest: str  # sha256 of the artifact's manifest
    max_batch_size: int = 16
    context_length: int = 2048
    provider: str = "auto"  # auto, cpu, cuda, tensorrt
    fp16: bool = False  # TensorRT only
    memory_bytes: int = 0  # what loading it is expected to take; 0 is not known
    generation: int = 1  # raised to have it loaded again
    weight: int = 0  # traffic it gets: what serves is loaded before what stands by


@dataclass(frozen=True, slots=True)
class RouteRevision(Message):
    """One revision as the router sees it."""

    key: str
    number: int
    weight: int  # per cent of the deployment's traffic
    context_length: int = 2048


@dataclass(frozen=True, slots=True)
class Route(Message):
    """A deployment as the router sees it; web processes read it instead of the database."""

    name: str
    title: str
    task: str
    created_at: float
    is_paused: bool = False
    max_waiting: int = 128  # requests of one revision that may wait before new ones are refused
    revisions: list[RouteRevision] = field(default_factory=list)

    def __post_init__(self) -> None:
        revisions = [RouteRevision.from_dict(one) if isinstance(one, dict) else one for one in self.revisions]
        object.__setattr__(self, "revisions", revisions)


@dataclass(frozen=True, slots=True)
class RevisionReport(Message):
    """What a worker says of one revision it has, or tries to have."""

    state: str  # LOADING, WARMING, READY, DRAINING, FAILED
    reason: str = ""  # why it failed
    progress: float = 0.0  # of loading and warming up, 0 to 1
    memory_bytes: int = 0  # measured
    running: int = 0
    waiting: int = 0
    slots: int = 0
    generation: int = 1
    counters: dict[str, float] = field(default_factory=dict)  # since it was loaded; names as in /metrics


@dataclass(frozen=True, slots=True)
class WorkerLease(Message):
    """What a worker says of itself each second. Memory is in bytes."""

    worker_id: str
    host: str
    pid: int
    expires: float  # seconds since the epoch
    revisions: dict[str, RevisionReport] = field(default_factory=dict)  # by key
    started_at: float = 0.0
    cpus: int = 0
    memory_total: int = 0
    memory_free: int = 0  # what it may still load
    memory_used: int = 0  # of the process
    devices: list[dict[str, Any]] = field(default_factory=list)  # {name, memory_total, memory_free, utilisation}

    def __post_init__(self) -> None:
        revisions = {
            key: RevisionReport.from_dict(one) if isinstance(one, dict) else one for key, one in self.revisions.items()
        }
        object.__setattr__(self, "revisions", revisions)

    def is_ready(self, key: str) -> bool:
        return key in self.revisions and self.revisions[key].state == "READY"


@dataclass(frozen=True, slots=True)
class JobRequest(Message):
    """Something long that worker-train does in a process of its own."""

    job_id: str
    kind: str  # import_model
    arguments: dict[str, Any] = field(default_factory=dict)
    memory_limit: int = 8 * 2**30  # bytes
    time_limit: float = 3600.0  # seconds
    attempt: int = 1
