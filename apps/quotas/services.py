"""Verbs on limits, and on what is limited. APIs, which send on their event loop, use asking.py for requests."""

import time
from collections.abc import Callable
from typing import TypeVar

import redis
import structlog
from django.db import DatabaseError, transaction
from django.db.models import Model

from apps.accounts.models import APIKey, FailPolicy, Organization, Team, User
from apps.audit.services import record
from apps.quotas import limits
from apps.quotas.admission import Unseeded, about_use, gate_of, reader, reservation
from apps.quotas.limits import LimitsUnknown, Plan
from apps.quotas.models import Limit, Metric, Scope, Window
from apps.quotas.presets import PRESETS
from apps.quotas.scripts import RESERVE
from apps.quotas.seeding import seed
from apps.quotas.settlement import Use, settle
from apps.quotas.usage import Account, Amounts, account_of
from apps.serving import services as serving
from apps.serving.connection import client
from apps.serving.services import Target
from contracts.messages import InferenceRequest

log = structlog.get_logger()
T = TypeVar("T")
_HELD = {Metric.CONCURRENT_REQUESTS, Metric.STORED_BYTES}


def submit(*, request: InferenceRequest, who: User | APIKey, target: Target) -> None:
    """Reserve what the request may use and hand it to the workers, in one round trip; within a transaction, it is
    served once that is committed. Raises LimitReached, NoWorker (LimitsUnknown among them); nothing was stored then."""

    def send(plan: Plan) -> None:
        gate = gate_of(plan)(request, target.context_length)
        owner_id = who.owner_id if isinstance(who, APIKey) else who.pk
        serving.submit(request=request, owner_id=owner_id, limit=target.limit, gate=gate)

    _passing(account_of(who), send)


def reserve(
    *, account: Account, source: str, amounts: Amounts, kind: str, deployment: str = "", seconds: float = 86_400
) -> None:
    """Take the amounts from every limit of the account, until the source is settled or released; what is not within
    `seconds` is released by itself. Twice for one source is once. Raises LimitReached, LimitsUnknown."""

    def take(plan: Plan) -> None:
        ends = time.time() + seconds
        about = about_use(plan, kind=kind, deployment=deployment, ends=ends)
        answer = client().register_script(RESERVE)(args=reservation(plan, amounts, source, ends, about))
        reader(plan)(answer)

    try:
        _passing(account, take)
    except redis.RedisError as error:
        log.warning("not reserved: no Redis", source=source, error=str(error))
        if limits.current().policy != FailPolicy.OPEN:
            raise LimitsUnknown() from error


def hold_bytes(*, account: Account, source: str, amount: int, kind: str = "storage") -> None:
    """Something of this size will be stored; counts until `release_bytes`. Raises LimitReached, LimitsUnknown."""
    held = Amounts(stored_bytes=amount)
    reserve(account=account, source=f"{source}:held", amounts=held, kind=kind)
    settle([Use(f"{source}:held", held, time.time())])


def release_bytes(*, account: Account, source: str, amount: int, kind: str = "storage") -> None:
    """What was held under this source was deleted. Idempotent."""
    reserve(account=account, source=f"{source}:released", amounts=Amounts(), kind=kind)
    settle([Use(f"{source}:released", Amounts(stored_bytes=-amount), time.time())])


def seeded(plan: Plan) -> Plan:
    """The plan with its counters read from the ledger. When that is not possible the organisation's policy decides:
    LimitsUnknown, or a plan that checks nothing."""
    try:
        seed(plan.counters)
        return plan
    except DatabaseError as error:
        log.warning("counters not read from the ledger", error=str(error))
        if limits.current().policy == FailPolicy.OPEN:
            return limits.current().open_plan(plan.account)
        raise LimitsUnknown() from error


def _passing(account: Account, act: Callable[[Plan], T]) -> T:
    """Act with the account's plan, once more when its counters had to be read first."""
    plan = limits.current().plan_for(account)
    try:
        return act(plan)
    except Unseeded:
        return act(seeded(plan))


@transaction.atomic
def set_limit(
    *,
    scope: Scope,
    subject: str = "",
    metric: Metric,
    window: Window,
    amount: int | None,
    actor: User | None,
    address: str | None = None,
) -> Limit:
    """At most `amount` from now on; what was used before counts. None lets the subject pass where the default does not.
    An empty subject is the organisation, or the default of everybody in the scope. Writes the audit log.

    Raises ValueError(`field: reason`).
    """
    _check(scope, subject, metric, window, amount)
    before = Limit.objects.filter(scope=scope, subject=subject, metric=metric, window=window).first()
    limit = _store(scope, subject, metric, window, amount, str(actor or "system"))
    record(
        action="limit.set", target=limit, actor=actor, address=address, scope=scope, subject=subject, metric=metric,
        window=window, before=before.amount if before else None, amount=amount,
    )  # fmt: skip
    _changed()
    return limit


@transaction.atomic
def remove_limit(*, limit: Limit, actor: User | None, address: str | None = None) -> None:
    """The default of the scope holds again, if there is one. Writes the audit log."""
    record(
        action="limit.remove", target=limit, actor=actor, address=address, scope=limit.scope, subject=limit.subject,
        metric=limit.metric, window=limit.window, amount=limit.amount,
    )  # fmt: skip
    limit.delete()
    _changed()


@transaction.atomic
def apply_preset(
    *, scope: Scope, subject: str = "", preset: str, actor: User | None, address: str | None = None
) -> list[Limit]:
    """The preset's limits in place of all that the subject had. Writes the audit log.

    `unlimited` lifts every default off the subject. Raises ValueError(`preset: reason`).
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: is none of {', '.join(PRESETS)}")
    wanted: dict[tuple[Metric, Window], int | None] = dict(PRESETS[preset])
    if subject:
        defaults = Limit.objects.filter(scope=scope, subject="").values_list("metric", "window")
        wanted = {**{(Metric(metric), Window(window)): None for metric, window in defaults}, **wanted}
    Limit.objects.filter(scope=scope, subject=subject).delete()
    made = [_store(scope, subject, *name, amount, f"preset {preset}") for name, amount in wanted.items()]
    record(
        action="limit.preset", target=subject_of(scope, subject), actor=actor, address=address, scope=scope,
        subject=subject, preset=preset,
    )  # fmt: skip
    _changed()
    return made


def subject_of(scope: Scope, subject: str) -> Model:
    """Raises ValueError(`subject: reason`)."""
    if scope == Scope.ORGANIZATION or not subject:
        return Organization.current()
    kinds: dict[Scope, type[Model]] = {Scope.TEAM: Team, Scope.USER: User, Scope.KEY: APIKey}
    found = kinds[scope]._default_manager.filter(pk=subject).first()
    if found is None:
        raise ValueError("subject: does not exist")
    return found


def _store(scope: Scope, subject: str, metric: Metric, window: Window, amount: int | None, set_by: str) -> Limit:
    return Limit.objects.update_or_create(
        scope=scope, subject=subject, metric=metric, window=window, defaults={"amount": amount, "set_by": set_by}
    )[0]


def _check(scope: Scope, subject: str, metric: Metric, window: Window, amount: int | None) -> None:
    if scope == Scope.ORGANIZATION and subject:
        raise ValueError("subject: there is one organisation")
    if (metric in _HELD) != (window == Window.NOW):
        raise ValueError("window: what is held is limited at any time, what is spent within a window")
    if amount is not None and not 0 <= amount < 2**50:
        raise ValueError("amount: must be a whole number from 0")
    subject_of(scope, subject)


def _changed() -> None:
    """This process notices at once, others within a second."""
    limits.forget()
    transaction.on_commit(limits.forget)
