"""What limits there are and how much of each is used."""

from dataclasses import dataclass
from datetime import datetime

from apps.quotas.models import Metric, Scope, Window


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
    raise NotImplementedError


def effect_of(scope: Scope, subject: str, metric: Metric, window: Window, amount: int | None) -> Effect:
    """Preview of a limit before it is set: old spend counts. An empty subject of another scope than the organisation is
    the default of everybody who has no limit of his own."""
    raise NotImplementedError
