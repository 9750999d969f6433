"""Deployments: the list, one of them, and what can be done to them."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.audit.models import AuditEntry
from apps.audit.queries import entries_of
from apps.console import curves, history, queries
from apps.console.forms import CanaryForm, DeploymentForm, GuardForm, ScaleForm, ShareForm
from apps.console.permissions import administrators_only, known_deployment, known_revision
from apps.registry.models import ModelVersion
from apps.serving import deployments
from apps.serving.acts import carry_out, refuse, who
from apps.serving.models import Deployment, Revision
from apps.serving.queries import leases

_SPANS = (900, 3600)  # seconds a chart may show
_HAPPENED = 12


@administrators_only
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("console:deployments")


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The page; `?part=live` only what changes by itself."""
    groups = queries.groups()
    rows = [row for group in groups for row in group.rows]
    context = {
        "groups": groups,
        "rows": rows,
        "canaries": [group for group in groups if group.canary],
        "now": queries.now(rows),
        "workers": leases(),
        "happened": history.lines(_happened()),
    }
    if request.GET.get("part") == "live":
        return render(request, "console/_deployments_live.html", context)
    return render(request, "console/deployments.html", {**context, **_choices()})


@administrators_only
@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    known_deployment(name)
    group = queries.groups(name)[0]
    span = _span(request)
    context = {
        "group": group,
        "deployment": group.deployment,
        "rows": group.rows,
        "now": queries.now(group.rows),
        "charts": curves.charts(
            [row for row in group.rows if row.hour.requests or row.revision.is_wanted],
            texts=_chart_texts(group.deployment),
            guard_p95=group.deployment.guard_p95_seconds,
            seconds=span,
        ),
        "span": span,
        "spans": _SPANS,
        "happened": history.lines(entries_of(group.deployment)[:_HAPPENED]),
    }
    if request.GET.get("part") == "live":
        return render(request, "console/_deployment_live.html", context)
    return render(request, "console/deployment.html", {**context, **_choices()})


@administrators_only
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    form = DeploymentForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=reverse("console:deployments"))
    done = _("%(name)s is being deployed") % {"name": form.cleaned_data["name"]}
    there = reverse("console:deployment", args=[form.cleaned_data["name"]])
    return carry_out(request, lambda: deployments.create_deployment(**form.given(), **who(request)), done, to=there)


@administrators_only
@require_POST
def add_revision(request: HttpRequest, name: str) -> HttpResponse:
    deployment, form = known_deployment(name), CanaryForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=_page(deployment))
    return carry_out(
        request,
        lambda: deployments.add_revision(deployment=deployment, **form.given(), **who(request)),
        _("%(version)s is being loaded") % {"version": form.cleaned_data["version"]},
        to=_page(deployment),
    )


@administrators_only
@require_POST
def share(request: HttpRequest, name: str) -> HttpResponse:
    """The share of one revision; the others keep their proportions of the rest."""
    deployment, form = known_deployment(name), ShareForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=_page(deployment))
    number, percent = form.cleaned_data["revision"], form.cleaned_data["share"]
    return carry_out(
        request,
        lambda: deployments.set_weights(
            deployment=deployment, weights=queries.shared(deployment, number, percent), **who(request)
        ),
        _("Sent %(share)s %% of %(name)s to r%(number)s") % {"share": percent, "name": name, "number": number},
        to=_page(deployment),
    )


@administrators_only
@require_POST
def guard(request: HttpRequest, name: str) -> HttpResponse:
    deployment = known_deployment(name)
    form = GuardForm(_with_share(request), instance=known_deployment(name))
    if not form.is_valid():
        return refuse(request, form, to=_page(deployment))
    return carry_out(
        request,
        lambda: deployments.set_guard(deployment=deployment, **form.cleaned_data, **who(request)),
        _("Limits of %(name)s saved") % {"name": name},
        to=_page(deployment),
    )


@administrators_only
@require_POST
def roll_back(request: HttpRequest, name: str) -> HttpResponse:
    deployment = known_deployment(name)
    return _verb(request, deployments.roll_back, deployment, _("%(name)s rolled back"))


@administrators_only
@require_POST
def pause(request: HttpRequest, name: str) -> HttpResponse:
    return _verb(request, deployments.pause, known_deployment(name), _("%(name)s paused"))


@administrators_only
@require_POST
def resume(request: HttpRequest, name: str) -> HttpResponse:
    return _verb(request, deployments.resume, known_deployment(name), _("%(name)s takes requests again"))


@administrators_only
@require_POST
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Only with the name typed again."""
    deployment = known_deployment(name)
    if request.POST.get("typed") != name:
        return carry_out(request, _refusal(_("The name was not typed. Nothing was deleted.")), "", to=_page(deployment))
    return carry_out(
        request,
        lambda: deployments.delete_deployment(deployment=deployment, **who(request)),
        _("%(name)s deleted") % {"name": name},
        to=reverse("console:deployments"),
    )


@administrators_only
@require_POST
def scale(request: HttpRequest, revision_id: int) -> HttpResponse:
    revision, form = known_revision(revision_id), ScaleForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=_page(revision.deployment))
    replicas = form.cleaned_data["replicas"]
    return carry_out(
        request,
        lambda: deployments.scale(revision=revision, replicas=replicas, **who(request)),
        _("%(key)s runs on %(n)s workers") % {"key": revision, "n": replicas},
        to=_page(revision.deployment),
    )


@administrators_only
@require_POST
def promote(request: HttpRequest, revision_id: int) -> HttpResponse:
    return _revision_verb(request, deployments.promote, revision_id, _("All traffic goes to %(key)s"))


@administrators_only
@require_POST
def retry(request: HttpRequest, revision_id: int) -> HttpResponse:
    return _revision_verb(request, deployments.retry, revision_id, _("%(key)s is being loaded again"))


@administrators_only
@require_POST
def stop(request: HttpRequest, revision_id: int) -> HttpResponse:
    return _revision_verb(request, deployments.stop_revision, revision_id, _("%(key)s is being stopped"))


@administrators_only
@require_POST
def start(request: HttpRequest, revision_id: int) -> HttpResponse:
    return _revision_verb(request, deployments.start_revision, revision_id, _("%(key)s is being started"))


def _verb(request: HttpRequest, verb: Any, deployment: Deployment, done: str) -> HttpResponse:
    return carry_out(
        request,
        lambda: verb(deployment=deployment, **who(request)),
        done % {"name": deployment.name},
        to=_page(deployment),
    )


def _revision_verb(request: HttpRequest, verb: Any, revision_id: int, done: str) -> HttpResponse:
    revision: Revision = known_revision(revision_id)
    return carry_out(
        request,
        lambda: verb(revision=revision, **who(request)),
        done % {"key": revision.key},
        to=_page(revision.deployment),
    )


def _refusal(text: str) -> Any:
    def raise_it() -> None:
        raise ValueError(text)

    return raise_it


def _with_share(request: HttpRequest) -> QueryDict:
    """The page asks for per cents, the model keeps a share."""
    data = request.POST.copy()
    percent = str(data.get("guard_error_percent", ""))
    try:
        data["guard_error_rate"] = str(float(percent) / 100) if percent else ""
    except ValueError:
        data["guard_error_rate"] = percent
    return data


def _page(deployment: Deployment) -> str:
    return reverse("console:deployment", args=[deployment.name])


def _span(request: HttpRequest) -> int:
    wanted = request.GET.get("span", "")
    return int(wanted) if wanted in map(str, _SPANS) else _SPANS[-1]


def _choices() -> dict[str, Any]:
    return {
        "versions": ModelVersion.objects.select_related("model").order_by("model__name", "-number"),
        "providers": Revision.Provider.choices,
    }


def _happened() -> Any:
    return AuditEntry.objects.filter(object_type="deployment")[:_HAPPENED]


def _chart_texts(deployment: Deployment) -> dict[str, str]:
    slowest = deployment.guard_p95_seconds
    return {
        "requests": _("Requests per second"),
        "latency": _("Latency, p95 and median"),
        "errors": _("Errors"),
        "first": _("First token, p95"),
        "guard": _("guard: roll back above %(s)s s") % {"s": f"{slowest:g}"} if slowest else "",
    }
