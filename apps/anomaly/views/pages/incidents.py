"""Incidents: the list, one with its findings and comments, and what people do about it."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.anomaly import incidents, lists
from apps.anomaly.models import Incident, Severity
from apps.anomaly.page_forms import ActForm, AssignForm, CommentForm
from apps.anomaly.permissions import visible_assets, visible_incident, worked_incident, workers_of
from apps.anomaly.views.pages.assets import asset_context
from apps.anomaly.views.pages.doing import back, doing, tell
from apps.quotas.refusing import REFUSALS, valid

_PAGE = 30


def page_of(incident: Incident) -> str:
    return reverse("anomaly:incident", args=[incident.pk])


@members_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    chosen = {name: request.GET.get(name, "") for name in ("state", "asset", "severity", "mine")}
    page = Paginator(lists.incidents_of(person(request), chosen), _PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "page": page,
        "chosen": chosen,
        "is_chosen": any(chosen.values()),
        "assets": list(visible_assets(request.user).order_by("name").values("pk", "name")),
        "states": Incident.State.choices,
        "severities": Severity.choices,
        "query": f"{query.urlencode()}&" if query else "",
    }
    return render(request, "anomaly/incidents.html", context)


@members_only
@require_safe
def page(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    visible_incident(request.user, incident_id)
    incident = lists.told(Incident.objects.filter(pk=incident_id)).get()
    context = {
        "incident": incident,
        "comments": lists.comments_of(incident),
        "people": list(workers_of(incident.asset).order_by("name", "email")),
        **asset_context(request, incident.asset, "incidents"),
    }
    return render(request, "anomaly/incident.html", context)


@senders_only
@require_POST
def act(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    """Acknowledge, resolve, call it false, open it again. Beside the charts, the item of the list is the answer."""
    incident = worked_incident(request.user, incident_id)
    try:
        verb = valid(ActForm(request.POST)).cleaned_data["act"]
        getattr(incidents, verb)(incident=incident, actor=person(request))
    except REFUSALS as error:
        tell(request, error)
    if not request.headers.get("HX-Request"):
        return redirect(back(request, page_of(incident)))
    shown = lists.told(Incident.objects.filter(pk=incident.pk)).get()
    context = {"incident": shown, "number": request.POST.get("number", ""), "works": True}
    return render(request, "anomaly/_incident.html", context)


@doing(worked_incident, page_of)
def assign(request: HttpRequest, incident: Incident) -> None:
    form = valid(AssignForm(request.POST, people=workers_of(incident.asset)))
    to = form.cleaned_data["to"]
    incidents.assign(incident=incident, to=to, actor=person(request))
    done = _("Given to %(name)s") % {"name": to.label} if to else _("Given to nobody")
    messages.success(request, done)


@doing(worked_incident, page_of)
def comment(request: HttpRequest, incident: Incident) -> None:
    form = valid(CommentForm(request.POST))
    incidents.comment(incident=incident, author=person(request), text=form.cleaned_data["text"])
