"""Usage: what somebody, a team or everybody used, by day, model, person and key; as a page and as CSV."""

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only, person
from apps.accounts.models import Organization, User
from apps.accounts.permissions import is_administrator
from apps.quotas import refusals, reports, spans, usage_charts, usage_csv
from apps.quotas.gauges import Gauge, gauges
from apps.quotas.models import Scope, Window
from apps.quotas.people import those_in_charge
from apps.quotas.permissions import shown_subjects, visible_subject
from apps.quotas.queries import limits_with_use, standing_of
from apps.quotas.reports import GROUPS_OF, STORED, Usage
from apps.quotas.roll_up import WHILE_ASKED, roll_up
from apps.quotas.spans import Span
from apps.quotas.subjects import Subject, of_person, organization
from apps.quotas.units import SHOWN, Number, amount
from apps.serving.acts import who

Limits = list[tuple[Subject, list[Gauge]]]
_ROWS = 30
_METRIC = "output_tokens"
_RANGES = [
    ("24h", gettext_lazy("24 h")),
    ("7", gettext_lazy("7 days")),
    ("30", gettext_lazy("30 days")),
    ("90", gettext_lazy("90 days")),
]
_GROUP_NAMES = {
    "model": gettext_lazy("Model"),
    "team": gettext_lazy("Team"),
    "user": gettext_lazy("Person"),
    "key": gettext_lazy("Key"),
}
# What use without one is called.
_NAMELESS = {"team": gettext_lazy("no team"), "user": gettext_lazy("nobody"), "key": gettext_lazy("browser")}


@members_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    user = person(request)
    subject = visible_subject(user, request.GET.get("who", ""))
    ours = Organization.current()
    span = spans.asked(request.GET, ours.time_zone)
    is_complete = roll_up(WHILE_ASKED)
    refusals.store_for_reading()
    limits = _limits(user, subject, span)
    context = _figures(request, Usage(subject, span), limits, ours.currency)
    most_used = _most_used(limits)
    context |= {"limits": limits, "most_used": most_used, "in_charge": _in_charge(user, most_used)}
    context["is_complete"] = is_complete
    return render(request, "quotas/usage.html", context | _choices(user, subject, span, ours))


@members_only
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Every row of the ledger that the page sums up."""
    subject = visible_subject(person(request), request.GET.get("who", ""))
    span = spans.asked(request.GET, Organization.current().time_zone)
    return usage_csv.download(subject, span, **who(request))


@dataclass(frozen=True, slots=True)
class Tile:
    """A total, and how it was in the span before."""

    metric: str
    name: str
    value: str
    change: str  # "+12 %"; nothing without anything before
    before: str


def _choices(user: User, subject: Subject, span: Span, ours: Organization) -> dict[str, Any]:
    choices = shown_subjects(user)
    mine = choices[0] == subject
    return {
        "subject": subject,
        "is_mine": mine,
        "follows": is_administrator(user) or mine,  # to the parts, one by one
        "subjects": choices[1:],
        "is_listed": subject in choices,
        "span": span,
        "ranges": _RANGES,
        "currency": ours.currency,
        "time_zone": ours.time_zone,
    }


def _figures(request: HttpRequest, usage: Usage, limits: Limits, currency: str) -> dict[str, Any]:
    metric = _one_of(SHOWN, request.GET.get("metric", ""), _METRIC)
    groups = GROUPS_OF[usage.subject.scope]
    group = _one_of(groups, request.GET.get("by", ""), groups[0])
    limit = _limit(limits, usage, metric)
    return {
        "usage": usage,
        "metric": metric,
        "tiles": [_tile(usage, each, currency) for each in SHOWN],
        "chart": usage_charts.over_time(usage, metric, currency=currency, limit=limit),
        "hours": usage_charts.over_the_day(usage),
        "refused": (refused := reports.refused(usage.subject, usage.span)),
        "refused_count": sum(each.count for each in refused),
        "groups": [(each, _GROUP_NAMES[each]) for each in groups],
        "group": group,
        "group_name": _GROUP_NAMES[group],
        "nameless": _NAMELESS.get(group, ""),
        "page": Paginator(usage.by(group), _ROWS).get_page(request.GET.get("page")),
    }


def _tile(usage: Usage, metric: str, currency: str) -> Tile:
    now, before = usage.total[metric], usage.before[metric]
    return Tile(
        metric,
        str(SHOWN[metric]),
        amount(metric, now, currency),
        _change(now, before),
        amount(metric, before, currency),
    )


def _change(now: Number, before: Number) -> str:
    if not before:
        return ""
    change = round(100 * (float(now) / float(before) - 1))
    return f"{change:+,d} %".replace("-", "−") if change else "0 %"


def _one_of(known: Any, asked: str, otherwise: str) -> str:
    return asked if asked in known else otherwise


def _limits(user: User, subject: Subject, span: Span) -> Limits:
    """What holds for the subject; for oneself also what holds for the own team and for everybody: each can refuse."""
    mine = subject == of_person(user)
    now = timezone.now()
    uses = standing_of(user) if mine else limits_with_use(subject.scope, subject.id)
    holders = {(use.scope, use.subject): _holder(user, subject, use.scope) for use in uses}
    found = [
        (holder, gauges([use for use in uses if (use.scope, use.subject) == name], span.zone, now))
        for name, holder in holders.items()
    ]
    return sorted(((holder, shown) for holder, shown in found if shown), key=lambda each: each[0] != subject)


def _holder(user: User, subject: Subject, scope: Scope) -> Subject:
    if scope == subject.scope:
        return subject
    return Subject(scope, str(user.team_id), user.team.name) if user.team and scope == Scope.TEAM else organization()


def _most_used(limits: Limits) -> tuple[Subject, Gauge] | None:
    """The limit of a day or month that people should be warned of."""
    near = [(each, gauge) for each, shown in limits for gauge in shown if gauge.is_calendar and gauge.level]
    return max(near, key=lambda found: found[1].use.share, default=None)


def _in_charge(user: User, most_used: tuple[Subject, Gauge] | None) -> User | None:
    """Whom to ask for more."""
    if most_used is None or is_administrator(user):
        return None
    return next(iter(those_in_charge(most_used[0].scope, most_used[0].id)), None)


def _limit(limits: Limits, usage: Usage, metric: str) -> float | None:
    """The limit that a bar of the chart is to be compared with."""
    window = Window.NOW if metric == STORED else Window.HOUR if usage.span.is_hours else Window.DAY
    own = [gauge.use for each, shown in limits if each == usage.subject for gauge in shown]
    return next((use.amount for use in own if (use.metric, use.window) == (metric, window)), None)
