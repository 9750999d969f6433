"""Whether a use may begin: the gate of a request, what is said when it may not, and what the answer tells of limits."""

import json
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.quotas.limits import Counter, Plan
from apps.quotas.models import Metric, Window
from apps.quotas.scripts import ADMIT
from apps.quotas.usage import LEASE_MARGIN, Account, Amounts, estimated_input
from apps.serving import snapshot
from apps.serving.gates import Admit, Gate
from apps.serving.services import CHAT
from contracts.messages import InferenceRequest

_USUAL_OUTPUT = 1024  # tokens that are reserved for who names no max_tokens
RATES = (Window.MINUTE, Window.HOUR)


class Unseeded(Exception):
    """A counter is not known: seed the plan's and ask again."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("counters have to be read from the ledger")
        self.plan = plan


class LimitReached(Exception):
    """A limit refuses; nothing was stored, sent or reserved."""

    def __init__(self, counter: Counter, seconds: float, *, account: Account) -> None:
        self.counter, self.account = counter, account
        self.is_final = seconds < 0  # waiting does not help: it asks for more than the limit, or for room that is held
        self.retry_after = max(1, math.ceil(seconds)) if seconds >= 0 else _window_seconds(counter)
        super().__init__(f"{counter.scope} limit: {counter.limit.amount} {counter.metric} {counter.window}")

    @property
    def is_rate(self) -> bool:
        """A rate passes by itself within the hour; a quota is used up."""
        return self.counter.window in RATES or self.counter.metric == Metric.CONCURRENT_REQUESTS

    @property
    def kind(self) -> str:
        return "rate_limit_exceeded" if self.is_rate else "quota_exceeded"


def _window_seconds(counter: Counter) -> int:
    return max(1, math.ceil(counter.resets_after(time.time())))


@dataclass(slots=True)
class Standing:
    """What one request was told of its limits: used by counter, -1 where nothing was asked."""

    plan: Plan
    used: list[int]


standing: ContextVar[Standing | None] = ContextVar("standing", default=None)


def source_of(request_id: str) -> str:
    return f"request:{request_id}"


def gate_of(plan: Plan) -> Admit:
    """The gate for a request of the plan's account. Its `read` raises LimitReached, Unseeded."""

    def admit(request: InferenceRequest, most_tokens: int) -> Gate:
        amounts = estimate(request, most_tokens)
        lease_ends = request.deadline + LEASE_MARGIN
        about = about_use(plan, kind=request.task, deployment=request.deployment, ends=request.deadline)
        args = reservation(plan, amounts, source_of(request.request_id), lease_ends, about)
        return Gate(ADMIT, args, ("leases", plan.leases) if plan.leases else (), reader(plan))

    return admit


def estimate(request: InferenceRequest, most_tokens: int) -> Amounts:
    """What a request may come to use, bounded; the rest is given back when it is settled."""
    output = 0
    if request.task == CHAT:
        wanted = request.sampling_params.get("max_tokens") or _USUAL_OUTPUT
        output = min(wanted, most_tokens, settings.QUOTA_MAX_OUTPUT)
    return Amounts(1, estimated_input(request.inputs), output, _compute_ms(request))


def _compute_ms(request: InferenceRequest) -> int:
    """What requests of the revision took lately, as far as there is time for it; what none has taken yet is set."""
    mean = snapshot.latest().compute_ms.get(request.revision, settings.QUOTA_COMPUTE_MS)
    return max(1, math.ceil(min(mean, 1000 * (request.deadline - request.arrival_time))))


def about_use(plan: Plan, *, kind: str, deployment: str = "", ends: float) -> str:
    """The rest of a reservation's JSON: who and for what, and when it must have ended."""
    return f'"who":{plan.who},"kind":{json.dumps(kind)},"deployment":{json.dumps(deployment)},"ends":{ends:.0f}'


def reservation(plan: Plan, amounts: Amounts, source: str, lease_ends: float, about: str) -> list[str | float]:
    return [plan.rows, json.dumps(amounts.as_list()), source, lease_ends, about, ""]


def reader(plan: Plan) -> Callable[[list[Any]], None]:
    """Remembers what `admit` of the script says of the limits; raises LimitReached, Unseeded."""

    def read(answer: list[Any]) -> None:
        word, *said = answer
        if word == "unknown":
            raise Unseeded(plan)
        if word == "refused":
            place, seconds, *used = said
            standing.set(Standing(plan, used))
            raise LimitReached(plan.counters[int(place) - 1], float(seconds), account=plan.account)
        standing.set(Standing(plan, said))

    return read


def headers() -> dict[str, str]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of the request that this context has served: of each the
    counter with the least left. Empty without limits."""
    known = standing.get()
    if known is None or not known.used:
        return {}
    found: dict[str, tuple[int, Counter]] = {}
    for counter, used in zip(known.plan.counters, known.used, strict=True):
        kind = _HEADER_OF.get(counter.metric)
        left = max(0, counter.amount - used)
        if kind and used >= 0 and (kind not in found or left < found[kind][0]):
            found[kind] = (left, counter)
    return {name: value for kind in found for name, value in _header(kind, *found[kind]).items()}


_HEADER_OF = {Metric.REQUESTS: "requests", Metric.INPUT_TOKENS: "tokens", Metric.OUTPUT_TOKENS: "tokens"}


def _header(kind: str, left: int, counter: Counter) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(counter.amount),
        f"x-ratelimit-remaining-{kind}": str(left),
        f"x-ratelimit-reset-{kind}": f"{math.ceil(counter.resets_after(time.time()))}s",
    }
