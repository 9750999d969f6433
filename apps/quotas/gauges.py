"""Limits with what is used of them, as pages show them."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.quotas.models import Window
from apps.quotas.queries import LimitUse
from apps.quotas.units import amount, day, limit_name

HIGH = 0.8  # of a limit: from here on people are warned
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_CALENDAR = (Window.DAY, Window.MONTH)


@dataclass(frozen=True, slots=True)
class Gauge:
    use: LimitUse
    zone: tzinfo
    now: datetime

    @property
    def name(self) -> str:
        return limit_name(self.use.metric, self.use.window)

    @property
    def is_calendar(self) -> bool:
        return self.use.window in _CALENDAR

    @property
    def level(self) -> str:
        """ "", high or over: what a gauge is coloured by."""
        return "over" if self.use.share >= 1 else "high" if self.use.share >= HIGH else ""

    @property
    def whole_percent(self) -> int:
        return int(100 * self.use.share)  # not rounded up: 100 means used up

    @property
    def percent(self) -> str:
        return f"{100 * self.use.share:.1f}"

    @property
    def used(self) -> str:
        return amount(self.use.metric, self.use.used)

    @property
    def left(self) -> str:
        return "" if self.use.remaining is None else amount(self.use.metric, self.use.remaining)

    @property
    def whole(self) -> str:
        return "" if self.use.amount is None else amount(self.use.metric, self.use.amount)

    @property
    def resets(self) -> str:
        """When what is used comes back."""
        at = self.use.resets_at
        if self.use.window == Window.NOW:
            return _("does not reset") if self.use.metric == "stored_bytes" else ""
        if at is None or not self.use.used:
            return _("nothing used")
        if self.is_calendar:
            return _("resets %(back)s") % {"back": self.back}
        return _("all free again %(back)s") % {"back": self.back}

    @property
    def back(self) -> str:
        """00:00, in 9 h 48 min; a window that slides has no time that people think of."""
        at = self.use.resets_at
        if at is None:
            return ""
        told = {"at": self._moment(at), "wait": wait(at - self.now)}
        return (_("%(at)s, in %(wait)s") if self.is_calendar else _("in %(wait)s")) % told

    @property
    def runs_out(self) -> str:
        """When it ends if people go on as they did since the period began; nothing if it lasts."""
        use = self.use
        if not self.is_calendar or not use.amount or not use.used or use.resets_at is None or use.share >= 1:
            return ""
        start = _beginning(use.window, self.now.astimezone(self.zone))
        ends = start + (self.now - start) * (use.amount / use.used)
        return self._moment(ends) if ends < use.resets_at else ""

    def _moment(self, at: datetime) -> str:
        """The time of a moment of today or tonight, the day of a later one."""
        there = at.astimezone(self.zone)
        if at - self.now <= 24 * _HOUR:
            return there.strftime("%H:%M")
        return day(there)


def gauges(uses: list[LimitUse], zone: tzinfo, now: datetime | None = None) -> list[Gauge]:
    """Without those that say that there is no limit."""
    now = now or timezone.now()
    return [Gauge(use, zone, now) for use in uses if use.amount is not None]


def gauge(use: LimitUse, zone: tzinfo) -> Gauge:
    return Gauge(use, zone, timezone.now())


def wait(rest: timedelta) -> str:
    """9 h 48 min; 3 days; 12 s."""
    if rest >= 48 * _HOUR:
        return _("%(n)d days") % {"n": round(rest / timedelta(days=1))}
    if rest >= _HOUR:
        return _("%(hours)d h %(minutes)d min") % {"hours": rest // _HOUR, "minutes": rest % _HOUR // _MINUTE}
    if rest >= _MINUTE:
        return _("%(n)d min") % {"n": -(-rest // _MINUTE)}
    return _("%(n)d s") % {"n": max(1, round(rest.total_seconds()))}


def _beginning(window: Window, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if window == Window.DAY else midnight.replace(day=1)
