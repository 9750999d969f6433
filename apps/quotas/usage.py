"""What is counted: for whom, and how much of each metric."""

from dataclasses import dataclass
from typing import Any

from apps.accounts.models import APIKey, User
from apps.quotas.models import Metric, Scope


@dataclass(frozen=True, slots=True)
class Account:
    """Who a use counts for. Names are as they are now, for the ledger."""

    user_id: int | None = None
    user_label: str = ""
    team_id: int | None = None
    key_id: str = ""
    key_label: str = ""

    def subject(self, scope: Scope) -> str | None:
        """Whose counters of the scope; None when the scope does not apply."""
        found = {
            Scope.ORGANIZATION: "",
            Scope.TEAM: self.team_id,
            Scope.USER: self.user_id,
            Scope.KEY: self.key_id or None,
        }[scope]
        return None if found is None else str(found)


def account_of(who: User | APIKey) -> Account:
    """A key counts for its own team, if it has one, and also for its owner; one team at most."""
    if isinstance(who, APIKey):
        team_id = who.team_id or who.owner.team_id
        return Account(who.owner_id, who.owner.email, team_id, str(who.pk), who.name)
    return Account(who.pk, who.email, who.team_id)


def account_of_reservation(said: dict[str, Any]) -> Account:
    return Account(**{name: said["who"][name] for name in Account.__slots__})


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of one request, job or upload. Compute is in milliseconds here and in Redis: whole numbers add up exactly."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    compute_ms: int = 0
    stored_bytes: int = 0

    def as_list(self) -> list[int]:
        return [self.requests, self.input_tokens, self.output_tokens, self.compute_ms, self.stored_bytes]


# Place of a metric in Amounts.as_list(); concurrent requests are leases, not amounts.
PLACES = {
    Metric.REQUESTS: 0,
    Metric.INPUT_TOKENS: 1,
    Metric.OUTPUT_TOKENS: 2,
    Metric.COMPUTE_SECONDS: 3,
    Metric.STORED_BYTES: 4,
    Metric.CONCURRENT_REQUESTS: -1,
}

# Seconds that recovery may need to end what its deadline has ended: a lease is longer by that.
LEASE_MARGIN = 30.0

_CHARS = {"content", "prompt", "texts", "text", "labels", "hypothesis", "pairs", "messages", "query", "passages"}
_FRAME_TOKENS = 8  # what a chat template puts around a message


def estimated_input(inputs: dict[str, Any]) -> int:
    """Tokens of a request's texts, without a tokeniser: a third of their bytes, which is a little more than English
    has and what Chinese has. Images say nothing of it."""
    return sum(_tokens_of(inputs[name]) for name in inputs if name in _CHARS)


def _tokens_of(value: Any) -> int:
    if isinstance(value, str):
        return _FRAME_TOKENS + len(value.encode()) // 3
    if isinstance(value, dict):
        return sum(_tokens_of(value[name]) for name in value if name in _CHARS)
    return sum(map(_tokens_of, value)) if isinstance(value, list) else 0


def unit_of(metric: Metric) -> int:
    """How many of what is counted make one of what people see."""
    return 1000 if metric == Metric.COMPUTE_SECONDS else 1
