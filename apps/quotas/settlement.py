"""What was used takes the place of what was reserved: into the ledger first, then out of Redis.

The ledger has one row a source, Redis forgets a reservation with its settling: both can be done again, so a process
that ends between them leaves nothing wrong. A batch costs one insert and two round trips.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.dispatch import receiver

from apps.quotas import limits, soft_limits
from apps.quotas.admission import source_of
from apps.quotas.limits import Snapshot
from apps.quotas.locks import settling
from apps.quotas.models import LedgerEntry, Metric
from apps.quotas.scripts import SETTLE
from apps.quotas.usage import Amounts, account_of_reservation
from apps.serving.connection import client
from apps.serving.requests import Ended
from apps.serving.signals import request_discarded, requests_settled
from contracts import names
from contracts.messages import ErrorType

_OUR_FAULTS = {ErrorType.INTERNAL, ErrorType.OVERLOADED, ErrorType.DEADLINE_EXCEEDED}


@dataclass(frozen=True, slots=True)
class Use:
    """What one source has used in the end."""

    source: str
    amounts: Amounts
    at: float  # seconds since the epoch
    cached_tokens: int = 0
    revision: str = ""
    outcome: str = ""


@receiver(requests_settled)
def settle_requests(ended: Mapping[str, Ended], **kwargs: Any) -> None:
    settle([_use(request_id, one) for request_id, one in ended.items()])


@receiver(request_discarded)
def release_request(request_id: str, **kwargs: Any) -> None:
    release([source_of(request_id)])


def settle(uses: Iterable[Use]) -> None:
    """Write the uses to the ledger and give back what was reserved beyond them. Idempotent; a use that nothing was
    reserved for, or that was settled before, is left out. Raises DatabaseError, redis.RedisError: then do it again."""
    by_source = {use.source: use for use in uses}
    held = _reserved(list(by_source))
    if not held:
        return
    now = limits.current()
    entries = [_entry(by_source[source], said, now) for source, said in held.items()]
    with settling():
        LedgerEntry.objects.bulk_create(entries, ignore_conflicts=True)
        _apply({source: by_source[source].amounts for source in held}, held, now)
    soft_limits.warn({account_of_reservation(said) for said in held.values()})


def release(sources: Iterable[str]) -> None:
    """Nothing was used: all that was reserved is given back, and the ledger does not hear of it."""
    held = _reserved(list(sources))
    _apply(dict.fromkeys(held, Amounts()), held, None)


def _reserved(sources: list[str]) -> dict[str, dict[str, Any]]:
    found = client().hmget(names.RESERVATIONS_KEY, sources) if sources else []
    return {source: json.loads(said) for source, said in zip(sources, found, strict=True) if said}


def _apply(amounts: dict[str, Amounts], held: dict[str, dict[str, Any]], now: Snapshot | None) -> None:
    with client().pipeline(transaction=False) as pipe:
        script = client().register_script(SETTLE)
        for source, said in held.items():
            rows = now.plan_for(account_of_reservation(said)).rows if now else "[]"
            script(args=[source, json.dumps(amounts[source].as_list()), rows, ""], client=pipe)
        pipe.execute()


def _entry(use: Use, said: dict[str, Any], now: Snapshot) -> LedgerEntry:
    who, amounts = said["who"], use.amounts
    entry = LedgerEntry(
        at=datetime.fromtimestamp(use.at, UTC),
        source=use.source,
        kind=said["kind"],
        deployment=said["deployment"],
        revision=use.revision,
        user_id=who["user_id"],
        user_label=who["user_label"],
        team_id=who["team_id"],
        team_label=who["team_label"],
        key_id=who["key_id"] or None,
        key_label=who["key_label"],
        requests=amounts.requests,
        input_tokens=amounts.input_tokens,
        cached_tokens=use.cached_tokens,
        output_tokens=amounts.output_tokens,
        compute_seconds=amounts.compute_ms / 1000,
        stored_bytes=amounts.stored_bytes,
        outcome=use.outcome,
    )
    entry.cost = cost_of(entry, now)
    return entry


def cost_of(entry: LedgerEntry, now: Snapshot) -> Decimal:
    """At the prices of now."""
    costs = (
        Decimal(str(getattr(entry, metric))) * now.price(entry.deployment, metric)
        for metric in Metric
        if metric != Metric.CONCURRENT_REQUESTS
    )
    return sum(costs, Decimal())


def _use(request_id: str, ended: Ended) -> Use:
    """A request that we have failed does not count as one; what it has computed does."""
    outcome, error = ended.transcript.outcome, ended.transcript.error
    said = outcome or error.get("outcome") or {}
    amounts = Amounts(
        requests=0 if error.get("type") in _OUR_FAULTS else 1,
        input_tokens=said.get("prompt_tokens", 0),
        output_tokens=said.get("completion_tokens", 0),
        compute_ms=round(1000 * said.get("compute_seconds", 0.0)),
    )
    return Use(
        source_of(request_id),
        amounts,
        ended.ended_at,
        cached_tokens=said.get("cached_tokens", 0),
        revision=ended.revision,
        outcome="error" if error else said.get("finish_reason", ""),
    )
