"""Who is told of what, and when not: rules, silences, quiet hours, and what was sent."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only, person
from apps.anomaly import lists, rules
from apps.anomaly.models import AlertRule, Asset, Delivery, Severity, Silence
from apps.anomaly.page_forms import QuietForm, RuleForm, SilenceForm
from apps.anomaly.permissions import (
    managed_asset,
    managed_rule,
    visible_asset,
    visible_assets,
    worked_asset,
    worked_silence,
)
from apps.anomaly.views.pages.assets import asset_context
from apps.anomaly.views.pages.doing import address_of, doing
from apps.quotas.refusing import valid

_PAGE = 50


def page_of(asset: Asset) -> str:
    return reverse("anomaly:rules", args=[asset.pk])


def _page_of_thing(thing: AlertRule | Silence) -> str:
    return page_of(thing.asset)


@members_only
@require_safe
def page(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    asset = visible_asset(request.user, asset_id)
    zone = timezone.get_current_timezone_name()
    quiet = list(asset.quiet_hours.all())
    context = {
        "rules": list(asset.rules.select_related("sensor", "detector")),
        "silences": lists.silences_of(asset),
        "quiet": quiet,
        "quiet_zone": quiet[0].time_zone if quiet else zone,
        "now": timezone.now(),
        "sensors": lists.sensors_of(asset),
        "detectors": list(asset.detectors.all()),
        "conditions": AlertRule.On.choices,
        "severities": Severity.choices,
        "week": list(WEEKDAYS_ABBR.items()),
        **asset_context(request, asset, "rules"),
    }
    return render(request, "anomaly/rules.html", context)


@doing(managed_asset, page_of)
def create_rule(request: HttpRequest, asset: Asset) -> None:
    values = valid(RuleForm(request.POST, asset=asset)).values()
    made = rules.create(asset=asset, actor=person(request), address=address_of(request), **values)
    messages.success(request, _("%(name)s is made") % {"name": made.name})


@doing(managed_rule, _page_of_thing)
def change_rule(request: HttpRequest, rule: AlertRule) -> None:
    values = valid(RuleForm(request.POST, asset=rule.asset)).values()
    rules.change(rule=rule, actor=person(request), address=address_of(request), **values)
    messages.success(request, _("Saved"))


@doing(managed_rule, _page_of_thing)
def delete_rule(request: HttpRequest, rule: AlertRule) -> None:
    rules.delete(rule=rule, actor=person(request), address=address_of(request))
    messages.success(request, _("%(name)s is deleted") % {"name": rule.name})


@doing(managed_rule, _page_of_thing)
def new_secret(request: HttpRequest, rule: AlertRule) -> None:
    rules.new_secret(rule=rule)
    messages.success(request, _("The webhook is signed with a new secret from now on"))


@doing(managed_rule, _page_of_thing)
def test_rule(request: HttpRequest, rule: AlertRule) -> None:
    status = rules.test(rule=rule, actor=person(request))
    messages.success(request, _("The webhook has answered with %(status)s") % {"status": status})


@doing(worked_asset, page_of)
def silence(request: HttpRequest, asset: Asset) -> None:
    form = valid(SilenceForm(request.POST, asset=asset))
    begins, ends = form.span()
    data = form.cleaned_data
    rules.silence(
        asset=asset, sensor=data["sensor"], severity=data["severity"], begins_at=begins, ends_at=ends,
        reason=data["reason"], actor=person(request),
    )  # fmt: skip
    messages.success(request, _("Silenced. Incidents are kept all the same."))


@doing(worked_silence, _page_of_thing)
def end_silence(request: HttpRequest, silence: Silence) -> None:
    rules.end_silence(silence=silence)
    messages.success(request, _("The silence is over"))


@doing(managed_asset, page_of)
def set_quiet_hours(request: HttpRequest, asset: Asset) -> None:
    """All rows at once; one without days is left out."""
    zone = request.POST.get("time_zone", "").strip()
    rows = [valid(form).cleaned_data | {"time_zone": zone} for form in _quiet_forms(request)]
    rules.set_quiet_hours(asset=asset, rows=rows)
    messages.success(request, _("Saved"))


def _quiet_forms(request: HttpRequest) -> list[QuietForm]:
    numbers = [number for number in request.POST.getlist("row") if number.isdigit()][:20]
    forms = [QuietForm(request.POST, prefix=f"quiet{number}") for number in numbers]
    return [form for form in forms if form["days"].value()]


@members_only
@require_safe
def deliveries(request: HttpRequest) -> HttpResponse:
    chosen = {name: request.GET.get(name, "") for name in ("state", "channel", "asset")}
    page = Paginator(lists.deliveries_of(person(request), chosen), _PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context: dict[str, Any] = {
        "page": page,
        "chosen": chosen,
        "is_chosen": any(chosen.values()),
        "assets": list(visible_assets(request.user).order_by("name").values("pk", "name")),
        "states": Delivery.State.choices,
        "channels": Delivery.Channel.choices,
        "query": f"{query.urlencode()}&" if query else "",
    }
    return render(request, "anomaly/deliveries.html", context)
