"""Verbs on limits, and on what is limited. APIs, which send on their event loop, use asking.py for requests."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import redis
import structlog
from django.db import DatabaseError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from apps.accounts.models import APIKey, FailPolicy, Organization, Team, User
from apps.audit.services import record
from apps.quotas import limits
from apps.quotas.admission import LimitReached, Unseeded, about_use, gate_of, reader, reservation
from apps.quotas.limits import LimitsUnknown, Plan
from apps.quotas.models import LedgerEntry, Limit, Metric, Scope, Window
from apps.quotas.presets import PRESETS
from apps.quotas.scripts import RESERVE
from apps.quotas.seeding import forget, seed
from apps.quotas.settlement import Use, release, settle
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
    *,
    account: Account,
    source: str,
    amounts: Amounts,
    kind: str,
    deployment: str = "",
    seconds: float = 86_400,
    checks: bool = True,
) -> None:
    """Take the amounts from every limit of the account, until the source is settled or released; what is not within
    `seconds` is released by itself. Twice for one source is once. Raises LimitReached where `checks`, LimitsUnknown."""
    refused = _reserve_each(
        account, {source: amounts}, kind=kind, deployment=deployment, seconds=seconds, checks=checks
    )
    if source in refused:
        raise refused[source]


def _reserve_each(
    account: Account, amounts: Mapping[str, Amounts], *, kind: str, deployment: str = "", seconds: float = 86_400,
    checks: bool = True,
) -> dict[str, LimitReached]:  # fmt: skip
    """`reserve` for many sources in one round trip; those that a limit refuses, with why. Raises LimitsUnknown."""

    def take(plan: Plan) -> dict[str, LimitReached]:
        ends = time.time() + seconds
        about = about_use(plan, kind=kind, deployment=deployment, ends=ends)
        script, refused = client().register_script(RESERVE), {}
        with client().pipeline(transaction=False) as pipe:
            for source, wanted in amounts.items():
                script(args=reservation(plan, wanted, source, ends, about), client=pipe)
            answers = pipe.execute()
        for source, answer in zip(amounts, answers, strict=True):
            try:
                reader(plan)(answer)
            except LimitReached as error:
                refused[source] = error
        return refused

    try:
        return _passing(account, take) if checks else take(limits.current().open_plan(account))
    except redis.RedisError as error:
        log.warning("not reserved: no Redis", sources=list(amounts), error=str(error))
        if limits.current().policy != FailPolicy.OPEN:
            raise LimitsUnknown() from error
        return {}


@dataclass(slots=True)
class Held:
    """What `holding_each` holds; who stores adds to `given_back` what is not stored after all."""

    refused: dict[str, LimitReached]
    given_back: set[str] = field(default_factory=set)


@contextmanager
def holding_bytes(*, who: User | APIKey, source: str, amount: int, kind: str = "storage") -> Iterator[None]:
    """A transaction in which something of this size is stored; it counts until `release_bytes`, and not at all when it
    is rolled back. Raises LimitReached, LimitsUnknown before anything is done."""
    with holding_each(who=who, sizes={source: amount}, kind=kind) as held:
        if source in held.refused:
            raise held.refused[source]
        yield


@contextmanager
def holding_each(*, who: User | APIKey, sizes: Mapping[str, int], kind: str = "storage") -> Iterator[Held]:
    """`holding_bytes` for many things in one transaction, each with a source of its own. Those that a limit refuses are
    named and not held; the others are. Raises LimitsUnknown before anything is done."""
    amounts = {_held(source): Amounts(stored_bytes=size) for source, size in sizes.items()}
    refused = _reserve_each(account_of(who), amounts, kind=kind)
    held = Held({source: refused[_held(source)] for source in sizes if _held(source) in refused})
    try:
        with transaction.atomic():
            yield held
            unused = set(map(_held, held.given_back))
            settle([Use(name, amounts[name], time.time()) for name in amounts.keys() - refused.keys() - unused])
        release(unused)
    except BaseException:
        release(amounts.keys() - refused.keys())
        raise


def _held(source: str) -> str:
    return f"{source}:held"


def hold_bytes(*, account: Account, source: str, amount: int, kind: str = "storage", checks: bool = True) -> None:
    """Something of this size is stored; counts until `release_bytes`. Idempotent. Raises LimitReached where `checks`,
    and LimitsUnknown."""
    name, held = _held(source), Amounts(stored_bytes=amount)
    if not LedgerEntry.objects.filter(source=name).exists():
        reserve(account=account, source=name, amounts=held, kind=kind, checks=checks)
        settle([Use(name, held, time.time())])


def release_bytes(*, source: str) -> None:
    """What was held under this source was deleted: given back to whom it counted for, also when they are in another
    team by now. Idempotent; nothing happens where nothing was held. Raises LimitsUnknown."""
    name = f"{source}:released"
    held = LedgerEntry.objects.filter(source=_held(source)).first()
    if held is None or LedgerEntry.objects.filter(source=name).exists():
        return
    key_id = str(held.key_id or "")
    account = Account(held.user_id, held.user_label, held.team_id, key_id, held.key_label)
    reserve(account=account, source=name, amounts=Amounts(), kind=held.kind, checks=False)
    settle([Use(name, Amounts(stored_bytes=-held.stored_bytes), time.time())])


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
    check_limit(scope, subject, metric, window, amount)
    before = Limit.objects.filter(scope=scope, subject=subject, metric=metric, window=window).first()
    limit = _store(scope, subject, metric, window, amount, str(actor or "system"))
    if before is None or before.amount is None:
        _begin(scope, subject, {(metric, window)})
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
    if limit.amount is None:
        _begin(Scope(limit.scope), limit.subject, {(limit.metric, limit.window)})
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
    own = Limit.objects.filter(scope=scope, subject=subject)
    lifted = set(own.filter(amount=None).values_list("metric", "window"))
    own.delete()
    made = [_store(scope, subject, *name, amount, f"preset {preset}") for name, amount in wanted.items()]
    _begin(scope, subject, {*wanted, *lifted})
    record(
        action="limit.preset", target=subject_of(scope, subject), actor=actor, address=address, scope=scope,
        subject=subject, preset=preset,
    )  # fmt: skip
    _changed()
    return made


@transaction.atomic
def inherit_limits(*, to: APIKey, of: Sequence[APIKey], actor: User | None, address: str | None = None) -> None:
    """A new key gets what holds for those by which it was made, the smallest of each, where that is not what holds for
    every key. Writes the audit log."""
    now, own = limits.take(), Limit.objects.filter(scope=Scope.KEY, subject__in=[str(key.pk) for key in of])
    holding = [{(one.metric, one.window): one.amount for one in now.holding(Scope.KEY, str(key.pk))} for key in of]
    for metric, window in sorted(set(own.values_list("metric", "window"))):
        amounts = [found.get((metric, window)) for found in holding]
        smallest = min((amount for amount in amounts if amount is not None), default=None)
        set_limit(
            scope=Scope.KEY, subject=str(to.pk), metric=Metric(metric), window=Window(window), amount=smallest,
            actor=actor, address=address,
        )  # fmt: skip


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


def check_limit(scope: Scope, subject: str, metric: Metric, window: Window, amount: int | None) -> None:
    """Raises ValueError(`field: reason`) for one that cannot be."""
    if scope == Scope.ORGANIZATION and subject:
        raise ValueError("subject: there is one organisation")
    if (metric in _HELD) != (window == Window.NOW):
        raise ValueError("window: what is held is limited at any time, what is spent within a window")
    if amount is not None and not 0 <= amount < 2**50:
        raise ValueError("amount: must be a whole number from 0")
    subject_of(scope, subject)


def _begin(scope: Scope, subject: str, names: Set[tuple[str, str]]) -> None:
    """Those of these limits that hold for the subject from now on may not have held until now: what nobody counted
    meanwhile is read from the ledger. Raises ValueError without Redis: without that no limit may be set."""
    now = limits.take()
    try:
        for limit in now.holding(scope, subject):
            if (limit.metric, limit.window) in names and limit.amount is not None:
                forget(now.counter(scope, subject, limit))
    except redis.RedisError as error:
        raise ValueError(_("Redis does not answer: try again in a moment.")) from serving.no_redis(error)


def _changed() -> None:
    """This process notices at once, others within a second."""
    limits.forget()
    transaction.on_commit(limits.forget)
