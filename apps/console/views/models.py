"""Models, their versions and what their manifests say."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.console import inventory
from apps.console.permissions import administrators_only, known_version


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    return render(request, "console/models.html", {"models": inventory.models(), "used": inventory.used_versions()})


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
        },
    )
