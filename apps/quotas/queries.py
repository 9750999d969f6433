"""What limits there are and how much of each is used."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import structlog

from apps.accounts.models import User
from apps.quotas import limits
from apps.quotas.counters import Used, read, read_uncounted
from apps.quotas.limits import Counter
from apps.quotas.models import Limit, Metric, Scope, Window
from apps.quotas.people import subject_label
from apps.quotas.seeding import spent, totals_by_subject
from apps.quotas.usage import account_of, unit_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit that holds for a subject, and what is used of it. Amounts are in the metric's unit: compute seconds are
    seconds (float), everything else whole numbers."""

    scope: Scope
    subject: str
    metric: Metric
    window: Window
    amount: int | None  # None: no limit, though the default of the scope has one
    used: float
    resets_at: datetime | None  # calendar: end of the period; sliding: when all that is used now has left; NOW: None
    set_by: str
    set_at: datetime
    is_default: bool  # the limit of everybody in the scope, not one of this subject's own

    @property
    def remaining(self) -> float | None:
        return None if self.amount is None else max(0, self.amount - self.used)

    @property
    def share(self) -> float:
        """Of the limit, 0 to 1; 0 without one, 1 for a limit of nothing."""
        return 0.0 if self.amount is None else min(1.0, self.used / self.amount) if self.amount else 1.0


@dataclass(frozen=True, slots=True)
class Effect:
    """What a new amount would mean, given what is used now."""

    amount: int | None
    used: float  # of the subject; for a default the highest of any subject it would hold for
    over: list[str]  # names of those who would be refused at once
    resets_at: datetime | None  # when those are let in again at the latest


def limits_with_use(scope: Scope, subject: str = "") -> list[LimitUse]:
    """Every limit that holds for the subject (pk of a team, person or key as str; empty for the organisation), its own
    ones in place of the defaults, in the order of Metric and Window. Use is what admission counts: settled and
    reserved. Asks the database and Redis; without Redis the use is what the ledger says."""
    now = limits.current()
    counters = [now.counter(scope, subject, limit) for limit in now.holding(scope, subject)]
    return [_with_use(*pair) for pair in zip(counters, _used(counters), strict=True)]


def effect_of(scope: Scope, subject: str, metric: Metric, window: Window, amount: int | None) -> Effect:
    """Preview of a limit before it is set: old spend counts. An empty subject of another scope than the organisation is
    the default of everybody who has no limit of his own."""
    now = limits.current()
    limit = Limit(scope=scope, subject=subject, metric=metric, window=window, amount=amount)
    if not subject and scope != Scope.ORGANIZATION:
        return _effect_of_default(now.counter(scope, "", limit))
    counter = now.counter(scope, subject, limit)
    is_counted = any((one.metric, one.window) == (metric, window) for one in now.counters_of(scope, subject))
    used = _used([counter], read if is_counted else read_uncounted)[0]
    over = [subject_label(scope, subject)] if amount is not None and used.amount >= counter.amount else []
    return Effect(amount, _shown(used.amount, metric), over, _resets_at(counter, used))


def standing_of(user: User) -> list[LimitUse]:
    """Every limit that what this person does on pages has to pass: the organisation's, the team's, their own."""
    account = account_of(user)
    subjects = ((scope, account.subject(scope)) for scope in Scope)
    return [one for scope, subject in subjects if subject is not None for one in limits_with_use(scope, subject)]


def _with_use(counter: Counter, used: Used) -> LimitUse:
    limit = counter.limit
    return LimitUse(
        scope=counter.scope,
        subject=counter.subject,
        metric=counter.metric,
        window=counter.window,
        amount=limit.amount,
        used=_shown(used.amount, counter.metric),
        resets_at=_resets_at(counter, used),
        set_by=limit.set_by,
        set_at=limit.set_at,
        is_default=limit.subject != counter.subject,
    )


def _used(counters: list[Counter], ask: Callable[[list[Counter]], list[Used]] = read) -> list[Used]:
    try:
        return ask(counters)
    except redis.RedisError as error:
        log.warning("use read from the ledger", error=str(error))
        return [Used(sum(amount for _, amount in spent(counter)), 0) for counter in counters]


def _shown(amount: int, metric: Metric) -> float:
    return amount / unit_of(metric) if unit_of(metric) > 1 else amount


def _resets_at(counter: Counter, used: Used) -> datetime | None:
    if counter.period is not None:
        return counter.period.end
    return datetime.fromtimestamp(used.empty_at, UTC) if used.empty_at else None


def _effect_of_default(counter: Counter) -> Effect:
    """By the ledger: whoever was not limited has no counter."""
    own = Limit.objects.filter(scope=counter.scope, metric=counter.metric, window=counter.window)
    totals = totals_by_subject(counter, leaving_out=list(own.exclude(subject="").values_list("subject", flat=True)))
    is_over = counter.limit.amount is not None
    over = [subject_label(counter.scope, name) for name, used in totals.items() if is_over and used >= counter.amount]
    most = max(totals.values(), default=0)
    return Effect(
        counter.limit.amount, _shown(most, counter.metric), over, counter.period.end if counter.period else None
    )
