"""The limits as this process last read them, and which counters a request has to pass: no query on a warm path.

A snapshot is at most MAX_AGE seconds old and never older than the day it was made on. While the database does not
answer the last one holds for MAX_STALE seconds; after that the organisation's policy decides.
"""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from apps.accounts.models import FailPolicy, Organization, Team
from apps.quotas.models import Limit, Metric, Price, Scope, Window
from apps.quotas.periods import BUCKET_SECONDS, SPAN, WINDOW_SECONDS, Period, period_of
from apps.quotas.usage import PLACES, Account, unit_of
from apps.serving.services import NoWorker
from contracts import names

log = structlog.get_logger()
MAX_AGE = 1.0  # seconds
MAX_STALE = 60.0

_SHORT = {Window.MINUTE: "m", Window.HOUR: "h", Window.DAY: "d", Window.MONTH: "M", Window.NOW: "n"}
_UTC = ZoneInfo("UTC")
_LEASE = -1  # in place of the seconds of a bucket
_FIXED = 0
_EVER = 1  # the only period of what is held


class LimitsUnknown(NoWorker):
    """The limits cannot be checked now, and the organisation wants nothing to pass unchecked."""

    def __init__(self) -> None:
        super().__init__("Limits cannot be checked just now. Try again in a moment.", retry_after=5)


@dataclass(frozen=True, slots=True)
class Counter:
    """What one limit is compared with. `amount` is in what is counted (milliseconds for compute)."""

    limit: Limit
    scope: Scope
    subject: str
    metric: Metric
    window: Window
    amount: int
    period: Period | None  # of the calendar
    zone: str

    @property
    def is_leases(self) -> bool:
        return self.metric == Metric.CONCURRENT_REQUESTS

    @property
    def key(self) -> str:
        return (names.quota_leases_key if self.is_leases else names.quota_key)(self.scope, self.subject)

    @property
    def as_key(self) -> tuple[str, str, str, str]:
        return self.scope, self.subject, self.metric, self.window

    def as_row(self) -> list[str | int]:
        """As the scripts read it (scripts.py). A calendar's name has the zone: another zone counts from the ledger."""
        place, name = PLACES[self.metric] + 1, f"{PLACES[self.metric]}{_SHORT[self.window]}"
        size, span, ends = BUCKET_SECONDS.get(self.window, _FIXED), SPAN, 0
        if self.is_leases:
            size, span = _LEASE, 0
        elif self.period is not None:
            name = f"{name}@{self.zone}"
            span, ends = int(self.period.start.timestamp()), int(self.period.end.timestamp())
        elif size == _FIXED:
            span = _EVER
        words = f"{self.scope} {self.subject} {self.metric} {self.window}"
        return [self.key, name, place, self.amount, size, span, ends, words]

    def resets_after(self, now: float) -> float:
        """Seconds until what is used now is used no more."""
        if self.period is not None:
            return max(0.0, self.period.end.timestamp() - now)
        return WINDOW_SECONDS.get(self.window, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """The counters that a use of one account has to pass."""

    account: Account
    counters: list[Counter]
    rows: str  # JSON of Counter.as_row
    who: str  # JSON of the account with the team's name
    leases: str  # sorted sets a request holds a lease of, split by spaces


@dataclass(slots=True)
class Snapshot:
    limits: dict[tuple[str, str], dict[tuple[str, str], Limit]] = field(default_factory=dict)
    prices: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    teams: dict[int, str] = field(default_factory=dict)
    zone: ZoneInfo = _UTC
    policy: str = FailPolicy.CLOSED
    taken_at: float = -1e9  # seconds of the monotonic clock
    ends_at: float = 0.0  # seconds since the epoch: of the day it was made on
    periods: dict[Window, Period] = field(default_factory=dict)
    plans: dict[Account, Plan] = field(default_factory=dict)

    def plan_for(self, account: Account) -> Plan:
        if account not in self.plans:
            self.plans[account] = self._plan(account)
        return self.plans[account]

    def open_plan(self, account: Account) -> Plan:
        """Nothing is checked, everything is counted."""
        return replace(self.plan_for(account), counters=[], rows="[]", leases="")

    def counters_of(self, scope: Scope, subject: str) -> list[Counter]:
        """In the order of Metric and Window."""
        held = (limit for limit in self.holding(scope, subject) if limit.amount is not None)
        return [self.counter(scope, subject, limit) for limit in held]

    def holding(self, scope: Scope, subject: str) -> list[Limit]:
        """The subject's own limits, and the defaults of its scope for the rest."""
        found = {**self.limits.get((scope, ""), {}), **self.limits.get((scope, subject), {})}
        return [found[name] for name in sorted(found, key=_order)]

    def price(self, deployment: str, metric: Metric) -> Decimal:
        return self.prices.get((deployment, metric), self.prices.get(("", metric), Decimal()))

    def _plan(self, account: Account) -> Plan:
        found: list[Counter] = []
        for scope in Scope:
            subject = account.subject(scope)
            if subject is not None:
                found += self.counters_of(scope, subject)
        who = {name: getattr(account, name) for name in Account.__slots__}
        who["team_label"] = self.teams.get(account.team_id or 0, "")
        leases = " ".join(one.key for one in found if one.is_leases)
        return Plan(account, found, rows_of(found), json.dumps(who, ensure_ascii=False), leases)

    def counter(self, scope: Scope, subject: str, limit: Limit) -> Counter:
        metric, window = Metric(limit.metric), Window(limit.window)
        amount = (limit.amount or 0) * unit_of(metric)
        return Counter(limit, scope, subject, metric, window, amount, self.periods.get(window), self.zone.key)


def rows_of(counters: Iterable[Counter]) -> str:
    return json.dumps([one.as_row() for one in counters])


def _order(name: tuple[str, str]) -> tuple[int, int]:
    return Metric.values.index(name[0]), Window.values.index(name[1])


_lock = threading.Lock()
_latest = Snapshot()


def is_fresh() -> bool:
    """Whether `current` answers at once."""
    return time.monotonic() - _latest.taken_at < MAX_AGE and time.time() < _latest.ends_at


def current() -> Snapshot:
    """Raises LimitsUnknown when there is none to be had and the policy is closed; where it is open, one without
    limits."""
    global _latest
    if is_fresh():
        return _latest
    try:
        # Before the lock: who has it must not wait for a connection that one of those has who wait for the lock.
        connection.ensure_connection()
        with _lock:
            if not is_fresh():
                _latest = take()
    except DatabaseError as error:
        _latest = _without_database(_latest, error)
    return _latest


def forget() -> None:
    """What this process has changed holds at once."""
    _latest.ends_at = 0.0


def take() -> Snapshot:
    """Read it now; four queries."""
    organization = Organization.current()
    zone, now = ZoneInfo(organization.time_zone), timezone.now()
    periods = {window: period_of(window, now, zone) for window in (Window.DAY, Window.MONTH)}
    limits: dict[tuple[str, str], dict[tuple[str, str], Limit]] = {}
    for limit in Limit.objects.all():
        limits.setdefault((limit.scope, limit.subject), {})[limit.metric, limit.window] = limit
    return Snapshot(
        limits=limits,
        prices={(price.deployment, price.metric): price.per_unit for price in Price.objects.all()},
        teams=dict(Team.objects.values_list("pk", "name")),
        zone=zone,
        policy=organization.fail_policy,
        taken_at=time.monotonic(),
        ends_at=periods[Window.DAY].end.timestamp(),
        periods=periods,
    )


def _without_database(old: Snapshot, error: DatabaseError) -> Snapshot:
    log.warning("limits not read", error=str(error))
    if time.monotonic() - old.taken_at < MAX_STALE:
        return _renewed(old)
    if old.policy == FailPolicy.OPEN:
        return Snapshot(policy=FailPolicy.OPEN, zone=old.zone, taken_at=old.taken_at)
    raise LimitsUnknown() from error


def _renewed(old: Snapshot) -> Snapshot:
    """The same limits, of today."""
    now = timezone.now()
    old.periods = {window: period_of(window, now, old.zone) for window in (Window.DAY, Window.MONTH)}
    old.ends_at, old.plans = old.periods[Window.DAY].end.timestamp(), {}
    return old
