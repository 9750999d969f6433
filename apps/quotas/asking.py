"""Requests of APIs within their limits: as apps.serving.asking, for somebody's account. The reservation is made in the
round trip that sends the request; a warm one asks no database."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from apps.accounts.models import APIKey
from apps.quotas import limits
from apps.quotas.admission import Unseeded, gate_of
from apps.quotas.services import seeded
from apps.quotas.usage import account_of
from apps.serving import asking
from apps.serving.gates import Admit
from apps.serving.replies import Answer
from contracts.messages import InferenceRequest

T = TypeVar("T")


async def submit(key: APIKey, **request: Any) -> InferenceRequest:
    """`asking.submit` for the key's owner. Raises what that raises, LimitReached, and LimitsUnknown."""
    return await _passing(key, lambda admit: asking.submit(owner_id=key.owner_id, admit=admit, **request))


async def ask(key: APIKey, **request: Any) -> tuple[InferenceRequest, Answer]:
    """`asking.ask` for the key's owner. Raises as `submit` does."""
    return await _passing(key, lambda admit: asking.ask(owner_id=key.owner_id, admit=admit, **request))


async def _passing(key: APIKey, act: Callable[[Admit], Awaitable[T]]) -> T:
    now = limits.current() if limits.is_fresh() else await sync_to_async(limits.current)()
    plan = now.plan_for(account_of(key))
    try:
        return await act(gate_of(plan))
    except Unseeded:
        return await act(gate_of(await sync_to_async(seeded)(plan)))
