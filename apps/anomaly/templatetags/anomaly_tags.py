"""Words and figures of the pages of signals."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.anomaly import presenting
from apps.anomaly.models import AlertRule, Comment, Detector, Finding, Fit, Incident, QuietHours
from apps.anomaly.models.detectors import KINDS

register = template.Library()

# What a state looks like: the colour of its badge.
_STATES = {
    Incident.State.OPEN: "danger",
    Incident.State.ACKNOWLEDGED: "warn",
    Incident.State.RESOLVED: "ok",
    Incident.State.FALSE_ALARM: "line",
    "sent": "ok",
    "failed": "danger",
    "silenced": "line",
    "waiting": "info",
    "sending": "info",
    "critical": "danger",
    "warning": "warn",
    "info": "info",
    "watching": "ok",
    "paused": "line",
    "new": "info",
    "ready": "info",
    "reading": "info",
    "done": "ok",
    "cancelled": "line",
}


@register.filter
def colour_of(state: str) -> str:
    return f"badge--{_STATES.get(state, 'line')}"


@register.filter
def title(incident: Incident) -> str:
    """What it is about, in a few words; its findings are fetched before (lists.told)."""
    return presenting.title(list(incident.findings.all()), _names(incident))


@register.filter
def why(incident: Incident) -> str:
    """What was measured and expected of the sensor that added most to the score."""
    for finding in incident.findings.all():
        for row in reasons(finding)[:1]:
            if row["measured"] is None or row["expected"] is None:
                continue
            unit = row["sensor"].unit
            values = {"measured": f"{figure(row['measured'])} {unit}", "expected": f"{figure(row['expected'])} {unit}"}
            return _("%(measured)s measured, %(expected)s expected") % values
    return ""


def _names(incident: Incident) -> dict[int, str]:
    """Of the sensors that its findings are about."""
    names = {}
    for finding in incident.findings.all():
        if finding.sensor is not None:
            names[finding.sensor.pk] = finding.sensor.name
        if finding.detector is not None:
            names |= {sensor.pk: sensor.name for sensor in finding.detector.sensors.all()}
    return names


@register.filter
def reasons(finding: Finding) -> list[dict[str, Any]]:
    """What each sensor added to the score of the peak, the most first."""
    known = {sensor.pk: sensor for sensor in finding.detector.sensors.all()} if finding.detector else {}
    rows = [
        {
            "sensor": known[pk],
            "share": share,
            "measured": _at(finding.measured, n),
            "expected": _at(finding.expected, n),
        }
        for n, (pk, share) in enumerate(zip(finding.columns, finding.shares, strict=False))
        if pk in known
    ]
    return sorted(rows, key=lambda row: -row["share"])[:8]


def _at(values: list[float | None], place: int) -> float | None:
    return values[place] if place < len(values) else None


@register.filter
def duration(thing: Incident | Finding) -> str:
    """22 h 40 min; of what lasts still, until its newest reading."""
    return span_words(((thing.ended_at or thing.last_at) - thing.began_at).total_seconds())


@register.filter
def span_words(seconds: float) -> str:
    """40 s, 5 min, 22 h 40 min, 3 days"""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return _("%(n)s s") % {"n": round(seconds)}
    if minutes < 90:
        return _("%(n)s min") % {"n": minutes}
    if minutes < 2880:
        rest = minutes % 60
        whole = _("%(n)s h") % {"n": minutes // 60}
        return whole + (" " + _("%(n)s min") % {"n": rest} if rest else "")
    days = round(hours / 24)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}


@register.filter
def on_day(moment: datetime) -> str:
    """Nov 22, 15:20; with the year when it is another one."""
    here = timezone.localtime(moment)
    # Translators: a day as Django's date filter writes it
    day = _("M j") if here.year == timezone.localtime().year else _("M j, Y")
    return _("%(day)s, %(time)s") % {"day": date_format(here, day), "time": here.strftime("%H:%M")}


@register.filter
def ago(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return _("%(span)s ago") % {"span": span_words(max(0.0, (timezone.now() - moment).total_seconds()))}


@register.filter
def epoch(moment: datetime | None) -> str:
    """Seconds since 1970 for a script."""
    return "" if moment is None else f"{moment.timestamp():.3f}"


@register.filter
def figure(value: float | None) -> str:
    """88.4, 0.031, 1204"""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


@register.filter
def kind_name(kind: str) -> str:
    names = {one.value: name for one, name in KINDS.items()}
    return str(
        {**names, "random": _("random, for comparison"), "always": _("always on, for comparison")}.get(kind, kind)
    )


@register.filter
def drifts(detector: Detector) -> bool:
    """Whether what it sees lately is no longer what it was calibrated on."""
    return detector.drift is not None and detector.drift > presenting.DRIFTED


@register.filter
def local_input(moment: datetime) -> str:
    """What a field of date and time shows."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


@register.filter
def interval_words(seconds: float | None) -> str:
    """one a second, one every 40 s"""
    if not seconds:
        return ""
    if seconds < 0.95:
        return _("%(n)s a second") % {"n": round(1 / seconds)}
    return _("one every %(span)s") % {"span": span_words(seconds)}


@register.filter
def joined(values: list[str]) -> str:
    return ", ".join(values)


@register.filter
def budget_value(detector: Detector | None) -> str:
    """As the choices of the form name it."""
    return "" if detector is None else f"{detector.budget:.4g} {detector.per}"


@register.filter
def budget_words(detector: Detector) -> str:
    if detector.per == "cent":
        return _("%(n)s of 100 steps") % {"n": f"{detector.budget:.3g}"}
    return _("%(n)s a day") % {"n": f"{detector.budget:.3g}"}


@register.filter
def own_row(fit: Fit) -> dict[str, Any]:
    """How what it became did in its backtest."""
    return next((row for row in fit.report.get("rows", []) if row.get("detector") == fit.kind), {})


@register.filter
def act_words(comment: Comment) -> str:
    """What somebody did, in a sentence."""
    if comment.act == Comment.Act.ASSIGNED:
        return _("gave it to %(name)s") % {"name": comment.text} if comment.text else _("gave it to nobody")
    states = dict(Incident.State.choices)
    return _("set it to: %(state)s") % {"state": states.get(comment.text, comment.text)}


@register.filter
def rule_words(rule: AlertRule) -> str:
    """When it is an alarm."""
    words = [str(rule.get_on_display())]
    words += [str(one) for one in (rule.detector, rule.sensor) if one is not None]
    if rule.for_seconds:
        words.append(_("for at least %(span)s") % {"span": span_words(rule.for_seconds)})
    if rule.on == AlertRule.On.SCORE:
        words.append(_("over when below %(n)s %% of it") % {"n": round(100 * rule.clear_ratio)})
    return _(", ").join(words)


@register.filter
def told_words(rule: AlertRule) -> str:
    """Who hears of it."""
    words = [_("everybody who sees it")] if rule.in_app else []
    if rule.emails:
        words.append(
            ngettext("%(n)s e-mail address", "%(n)s e-mail addresses", len(rule.emails)) % {"n": len(rule.emails)}
        )
    if rule.webhook:
        words.append(_("a webhook"))
    return _("Told: %(whom)s") % {"whom": _(", ").join(words) or _("nobody")}


@register.filter
def quiet_words(quiet: QuietHours) -> str:
    """Mon, Tue, 22:00 – 06:00"""
    days = _(", ").join(str(WEEKDAYS_ABBR[day]) for day in quiet.days)
    return f"{days} {quiet.begins:%H:%M} – {quiet.ends:%H:%M} ({quiet.time_zone})"
