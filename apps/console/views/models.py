"""Models, their versions and what their manifests say."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.console import inventory
from apps.console.forms import MOST_SEED, PRECISIONS, TASKS, TRAINED, ImportForm, TrainForm
from apps.console.permissions import administrators_only, known_version
from apps.registry import services
from apps.registry.adapting import has_adapter
from apps.registry.training import start_training as start
from apps.registry.uploads import import_upload
from apps.serving.acts import carry_out, refuse, who
from contracts.adaptation import COMPARED
from contracts.recipes import RECIPES


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    context = {
        "models": inventory.models(),
        "used": inventory.used_versions(),
        "tasks": TASKS,
        "precisions": PRECISIONS,
        "recipes": RECIPES,
        "trained": TRAINED,
        "most_seed": MOST_SEED,
        "mesh": [(field.name, field.label) for field in TrainForm().mesh()],
    }
    return render(request, "console/models.html", context)


@administrators_only
@require_POST
def start_import(request: HttpRequest) -> HttpResponse:
    """Start the job and go to its page; a refusal is told where the form is."""
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return refuse(request, form, to=reverse("console:models"))
    try:
        given: dict[str, Any] = {"title": "", **form.given()}
        if upload := form.cleaned_data["upload"]:
            given.pop("source", None)
            job = import_upload(upload=upload, **given, **who(request))
        else:
            job = services.start_import(**given, **who(request))
    except ValueError as error:
        messages.error(request, str(error))
        return redirect("console:models")
    messages.success(request, _("The import of %(name)s has begun") % {"name": job.arguments["name"]})
    return redirect("console:job", job_id=job.pk)


@administrators_only
@require_POST
def start_training(request: HttpRequest) -> HttpResponse:
    """As `start_import`."""
    form = TrainForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=reverse("console:models"))
    try:
        job = start(**form.given(), **who(request))
    except ValueError as error:
        messages.error(request, str(error))
        return redirect("console:models")
    messages.success(request, _("The training of %(name)s has begun") % {"name": job.arguments["name"]})
    return redirect("console:job", job_id=job.pk)


@administrators_only
@require_POST
def delete(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Only with the name typed again, and only while nothing uses it."""
    version, label = known_version(name, number), f"{name} v{number}"

    def act() -> None:
        if request.POST.get("typed") != name:
            raise ValueError(_("The name was not typed. Nothing was deleted."))
        try:
            services.delete_version(version=version, **who(request))
        except services.VersionInUse as error:
            raise ValueError(str(error)) from error

    there = reverse("console:models")
    return carry_out(request, act, _("%(version)s deleted") % {"version": label}, to=there)


@administrators_only
@require_safe
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The model card."""
    found = known_version(name, number)
    return render(
        request,
        "console/version.html",
        {
            "version": found,
            "model": found.model,
            "manifest": found.manifest,
            "siblings": found.model.versions.all(),
            "files": inventory.files_of(found),
            "used_by": inventory.uses_of(found),
            "compared": found.manifest.get(COMPARED, []),
            "has_adapter": has_adapter(found),
        },
    )
