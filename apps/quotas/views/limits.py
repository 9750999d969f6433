"""Limits: who may use how much, what of it is used; set, change, remove, presets, prices. For administrators."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import administrators_only, person
from apps.accounts.models import APIKey, Organization, Team, User
from apps.quotas import services, subjects, units
from apps.quotas.forms import WHAT, LimitForm, PresetForm, PriceForm
from apps.quotas.gauges import Gauge, gauge
from apps.quotas.models import Limit, Metric, Price, Scope
from apps.quotas.permissions import visible_subject
from apps.quotas.presets import PRESETS
from apps.quotas.prices import UNITS
from apps.quotas.queries import effect_of, limits_with_use
from apps.quotas.subjects import Subject
from apps.serving.acts import carry_out, who
from apps.serving.models import Deployment

Limits = dict[tuple[str, str, str], Limit]
_HOLDERS = 20  # a page
_SUGGESTED = 200
_TABS = [
    (Scope.ORGANIZATION, gettext_lazy("Organisation")),
    (Scope.TEAM, gettext_lazy("Teams")),
    (Scope.USER, gettext_lazy("People")),
    (Scope.KEY, gettext_lazy("Keys")),
]


@dataclass(frozen=True, slots=True)
class Row:
    """A limit that somebody set, or that holds for the subject as the default of its scope."""

    limit: Limit
    gauge: Gauge | None = None  # none for a default: nobody uses a default
    is_inherited: bool = False

    @property
    def name(self) -> str:
        return units.limit_name(self.limit.metric, self.limit.window)

    @property
    def amount(self) -> str:
        return "" if self.limit.amount is None else units.amount(self.limit.metric, self.limit.amount)


@dataclass(frozen=True, slots=True)
class Priced:
    price: Price
    currency: str

    @property
    def words(self) -> str:
        """4.10 EUR for 1 million output tokens"""
        unit = UNITS[Metric(self.price.metric)]
        told = {"price": units.amount(units.COST, self.price.per_unit * unit.size, self.currency), "unit": unit.words}
        return _("%(price)s for %(unit)s") % told


@dataclass(frozen=True, slots=True)
class Holder:
    subject: Subject
    rows: list[Row]

    @property
    def is_default(self) -> bool:
        return not self.subject.id and self.subject.scope != Scope.ORGANIZATION


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    return show(request)


@administrators_only
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    form = LimitForm(request.POST)
    if not form.is_valid():
        return show(request, status=422, form=form)
    holder, values = form.holder, form.cleaned_data
    act = {"metric": values["metric"], "window": values["window"], "amount": form.number}
    return carry_out(
        request,
        lambda: services.set_limit(scope=holder.scope, subject=holder.id, **act, **who(request)),
        _("Limit of %(name)s set") % {"name": holder.label},
        to=address(holder),
    )


@administrators_only
@require_safe
def effect(request: HttpRequest) -> HttpResponse:
    """What the limit would do if it were set: a part of the page."""
    form = LimitForm(request.GET)
    if not form.is_valid():
        return render(request, "quotas/_effect.html", {"form": form})
    holder, values = form.holder, form.cleaned_data
    found = effect_of(holder.scope, holder.id, values["metric"], values["window"], form.number)
    context = {"form": form, "holder": holder, "effect": found, "metric": values["metric"]}
    return render(request, "quotas/_effect.html", context)


@administrators_only
@require_POST
def preset(request: HttpRequest) -> HttpResponse:
    form = PresetForm(request.POST)
    if not form.is_valid():
        return show(request, status=422, preset_form=form)
    holder, name = form.holder, form.cleaned_data["preset"]
    return carry_out(
        request,
        lambda: services.apply_preset(scope=holder.scope, subject=holder.id, preset=name, **who(request)),
        _("Preset %(preset)s applied to %(name)s") % {"preset": name, "name": holder.label},
        to=address(holder),
    )


@administrators_only
@require_POST
def remove(request: HttpRequest, limit_id: int) -> HttpResponse:
    limit = get_object_or_404(Limit, pk=limit_id)
    return carry_out(
        request,
        lambda: services.remove_limit(limit=limit, **who(request)),
        _("Limit removed"),
        to=reverse("quotas:limits"),
    )


def show(request: HttpRequest, *, status: int = 200, **forms: BaseForm) -> HttpResponse:
    """The page, also with a form that was not valid."""
    ours = Organization.current()
    zone = ZoneInfo(ours.time_zone)
    asked = request.GET.get("who", "")
    subject = visible_subject(person(request), asked) if ":" in asked else None
    scope = subject.scope if subject else _scope(request.GET.get("scope", ""))
    page = Paginator(_holders(scope), _HOLDERS).get_page(request.GET.get("page"))
    context = {
        "tabs": _TABS,
        "scope": scope,
        "subject": subject,
        "holders": _of(subject, zone) if subject else _shown(scope, list(page), zone),
        "page": page,
        "currency": ours.currency,
        "time_zone": ours.time_zone,
        "form": _filled(request, scope, subject),
        "preset_form": PresetForm(initial={"scope": scope, "subject": subject.label if subject else ""}),
        "price_form": PriceForm(),
        "is_changed": "what" in request.GET,
        "what": WHAT,
        "presets": [(name, _preset_rows(name)) for name in PRESETS],
        "prices": [Priced(price, ours.currency) for price in _prices()],
        **_suggested(),
    }
    return render(request, "quotas/limits.html", context | forms, status=status)


def address(holder: Subject) -> str:
    """The page on which the limits of a subject are."""
    query = f"who={holder.who}" if holder.id else f"scope={holder.scope}"
    return f"{reverse('quotas:limits')}?{query}"


def _scope(text: str) -> Scope:
    return Scope(text) if text in Scope.values else Scope.ORGANIZATION


def _holders(scope: Scope) -> QuerySet[Limit, Any]:
    """The subjects that have limits of their own."""
    found = Limit.objects.filter(scope=scope).exclude(subject="")
    return found.values_list("subject", flat=True).distinct().order_by("subject")


def _shown(scope: Scope, ids: list[str], zone: ZoneInfo) -> list[Holder]:
    """The organisation, or the defaults of the scope and then those with limits of their own."""
    limits = _limits(scope, ids)
    if scope == Scope.ORGANIZATION:
        return _with_rows([_holder(subjects.organization(), limits, zone)])
    defaults = Holder(Subject(scope, "", ""), [Row(limit) for limit in limits.values() if not limit.subject])
    names = subjects.names(scope, ids)
    own = [_holder(Subject(scope, id, names.get(id, id)), limits, zone, is_own=True) for id in ids]
    return _with_rows([defaults, *own])


def _of(subject: Subject, zone: ZoneInfo) -> list[Holder]:
    """All that holds for one, the defaults of its scope included."""
    return _with_rows([_holder(subject, _limits(subject.scope, [subject.id]), zone)])


def _holder(subject: Subject, limits: Limits, zone: ZoneInfo, *, is_own: bool = False) -> Holder:
    rows = []
    for use in limits_with_use(subject.scope, subject.id):
        limit = limits.get(("" if use.is_default else subject.id, use.metric, use.window))
        if limit and not (is_own and use.is_default):
            rows.append(Row(limit, gauge(use, zone), use.is_default))
    return Holder(subject, rows)


def _limits(scope: Scope, ids: list[str]) -> Limits:
    """Those of the subjects and the defaults, by subject, metric and window."""
    found = Limit.objects.filter(scope=scope, subject__in=["", *ids]).order_by("metric", "window")
    return {(limit.subject, limit.metric, limit.window): limit for limit in found}


def _with_rows(holders: list[Holder]) -> list[Holder]:
    return [holder for holder in holders if holder.rows]


def _filled(request: HttpRequest, scope: Scope, subject: Subject | None) -> LimitForm:
    """The form as a link asks for it: for whom, and the limit that is to be changed."""
    asked = {name: request.GET[name] for name in ("what", "amount", "unlimited") if name in request.GET}
    return LimitForm(initial={"scope": scope, "subject": subject.label if subject else "", **asked})


def _preset_rows(name: str) -> list[str]:
    return [
        f"{units.limit_name(metric, window)}: {units.amount(metric, amount)}"
        for (metric, window), amount in PRESETS[name].items()
    ]


def _prices() -> QuerySet[Price]:
    return Price.objects.filter(metric__in=UNITS).order_by("deployment", "metric")


def _suggested() -> dict[str, Any]:
    """Names that the form offers; of many people the first."""
    keys = APIKey.objects.filter(revoked_at=None).order_by("name").values_list("name", "prefix")
    return {
        "teams": Team.objects.values_list("name", flat=True)[:_SUGGESTED],
        "people": User.objects.order_by("email").values_list("email", flat=True)[:_SUGGESTED],
        "keys": [(f"{prefix}…", name) for name, prefix in keys[:_SUGGESTED]],
        "deployments": Deployment.objects.order_by("name").values_list("name", flat=True),
    }
