"""Usage: what somebody, a team, a key or everybody used, and the limits that hold for them."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Field, Query, Router, Schema
from pydantic import BeforeValidator

from apps.accounts.models import Organization, Scope
from apps.api.auth import KeyAuth
from apps.api.native.paging import Page
from apps.api.native.running import acting, in_thread, who
from apps.api.site import also
from apps.quotas import refusals, reports, spans, usage_csv
from apps.quotas.models import Metric, Window
from apps.quotas.permissions import visible_subject
from apps.quotas.queries import LimitUse, limits_with_use, standing_of
from apps.quotas.reports import GROUPS_OF, Part, Refused, Usage
from apps.quotas.roll_up import WHILE_ASKED, roll_up
from apps.quotas.spans import Span
from apps.quotas.subjects import Subject, of_person

router = Router(auth=KeyAuth(Scope.ACCOUNT), tags=["Usage"])
_MOST = 100  # parts that are listed
CSV = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}, **also(404)}
WHO = "me, team:<id>, user:<id>, key:<id> or organization. Those of others for whoever leads the team and, with a key "
WHO += "of the scope admin, for administrators."
Day = Annotated[date, Field(ge=date(1971, 1, 1), le=date(9000, 12, 31))]
# Not the enumeration: the document knows one Scope, that of keys.
LimitScope = Annotated[Literal["organization", "team", "user", "key"], BeforeValidator(str)]
Figure = Literal["requests", "input_tokens", "output_tokens", "compute_seconds", "cost", "stored_bytes"]


class Whose(Schema):
    who: str = Field("me", max_length=60, description=WHO)


class Asked(Whose):
    range: Literal["24h", "7", "30", "90", "custom"] = Field("30", description="The last hours or days, or `custom`.")
    since: Day | None = Field(None, description="The first day, with `custom`.")
    until: Day | None = Field(None, description="The last day, with `custom`; at most a year later.")

    def span(self) -> Span:
        """Raises ValueError(`since: reason`)."""
        told = {"range": self.range, "since": str(self.since or ""), "until": str(self.until or "")}
        found = spans.asked(told, Organization.current().time_zone)
        if found.name != self.range:
            raise ValueError(f"since: `custom` takes since and until, {spans.LONGEST} days at most")
        return found


class Wanted(Asked):
    metric: Figure = Field("output_tokens", description="Of the series.")
    by: Literal["model", "team", "user", "key"] = Field("model", description="Of the parts.")


class Amounts(Schema):
    requests: int
    input_tokens: int
    output_tokens: int
    compute_seconds: float
    cost: float
    stored_bytes: int = Field(description="What is held at the end of the span; the others are what was spent in it.")


class PartOut(Schema):
    name: str = Field(description="Empty for use without a team or a key.")
    who: str = Field(description="As the parameter `who` takes it; empty for a model.")
    share: float = Field(description="Of the compute time, 0 to 1.")
    amounts: Amounts


class RefusedOut(Schema):
    scope: LimitScope
    name: str
    metric: Metric
    window: Window
    count: int
    last: datetime = Field(description="The hour of the newest.")


class UsageOut(Schema):
    who: str
    name: str
    since: datetime
    until: datetime = Field(description="Not in the span any more.")
    time_zone: str
    currency: str
    is_complete: bool = Field(description="False while a long past is still being summed up.")
    total: Amounts
    before: Amounts = Field(description="In the span of the same length before.")
    metric: Figure
    buckets: list[str] = Field(description="Days, or the beginnings of hours.")
    series: dict[str, list[float]] = Field(description="Model: the metric in each bucket.")
    by: str
    parts: list[PartOut] = Field(description="Most compute time first, 100 at most.")
    refused: list[RefusedOut] = Field(description="What limits turned away.")


class UseOut(Schema):
    scope: LimitScope
    subject: str = Field(description="Id of the team, person or key; empty for the organisation.")
    metric: Metric
    window: Window
    amount: int | None = Field(description="null: no limit, though everybody else has one.")
    used: float
    remaining: float | None
    resets_at: datetime | None
    is_default: bool = Field(description="The limit of everybody in the scope.")


def use_out(use: LimitUse) -> UseOut:
    return UseOut(**{name: getattr(use, name) for name in UseOut.model_fields})


@router.get("/usage", response=UsageOut, openapi_extra=also(404), summary="Read usage")
@in_thread
def get_usage(request: HttpRequest, wanted: Query[Wanted]) -> UsageOut:
    """Totals, a series by model, and the parts by model, team, person or key."""
    subject = visible_subject(acting(request), wanted.who)
    if wanted.by not in GROUPS_OF[subject.scope]:
        raise ValueError(f"by: is one of {', '.join(GROUPS_OF[subject.scope])} here")
    is_complete = roll_up(WHILE_ASKED)
    refusals.store_for_reading()
    return _usage(Usage(subject, wanted.span()), wanted, is_complete)


@router.get("/usage/csv", openapi_extra=CSV, summary="Download usage")
@in_thread
def export_usage(request: HttpRequest, asked: Query[Asked]) -> StreamingHttpResponse:
    """Every row of the ledger. That somebody took what is of others is written down."""
    return usage_csv.download(visible_subject(acting(request), asked.who), asked.span(), **who(request))


@router.get("/usage/limits", response=Page[UseOut], openapi_extra=also(404), summary="Read where one stands")
@in_thread
def list_standing(request: HttpRequest, whose: Query[Whose]) -> dict[str, Any]:
    """Every limit that holds, with what is used of it; of oneself also those of the team and of the organisation. There
    is one page."""
    user = acting(request)
    subject = visible_subject(user, whose.who)
    uses = standing_of(user) if subject == of_person(user) else limits_with_use(subject.scope, subject.id)
    return {"data": [use_out(use) for use in uses], "next": None}


def _usage(usage: Usage, wanted: Wanted, is_complete: bool) -> UsageOut:
    subject, span = usage.subject, usage.span
    return UsageOut(
        **_named(subject, span),
        is_complete=is_complete,
        total=_amounts(usage.total),
        before=_amounts(usage.before),
        metric=wanted.metric,
        buckets=[bucket.isoformat() for bucket in span.buckets],
        series={name: [float(one) for one in values] for name, values in usage.series(wanted.metric).items()},
        by=wanted.by,
        parts=[_part(part) for part in usage.by(wanted.by)[:_MOST]],
        refused=[_refused(one) for one in reports.refused(subject, span)],
    )


def _named(subject: Subject, span: Span) -> dict[str, Any]:
    ours = Organization.current()
    told = {"who": subject.who, "name": subject.label, "since": span.since, "until": span.until}
    return {**told, "time_zone": ours.time_zone, "currency": ours.currency}


def _amounts(found: reports.Amounts) -> Amounts:
    return Amounts(**{name: float(found[name]) for name in Amounts.model_fields})  # type: ignore[arg-type]


def _part(part: Part) -> PartOut:
    return PartOut(name=part.label, who=part.who, share=part.share, amounts=_amounts(part.amounts))


def _refused(one: Refused) -> RefusedOut:
    names = ("scope", "metric", "window", "count", "last")
    return RefusedOut(name=one.label, **{name: getattr(one, name) for name in names})
