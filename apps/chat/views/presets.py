"""Saved instructions and parameters."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from apps.accounts.decorators import members_only, person
from apps.chat import queries, services
from apps.chat.forms import ParametersForm, PresetForm
from apps.chat.permissions import owned_preset
from apps.quotas.refusing import refusable, valid


@members_only
@require_POST
@refusable
def save(request: HttpRequest) -> HttpResponse:
    form, settings = valid(PresetForm(request.POST)), valid(ParametersForm(request.POST))
    preset = services.save_preset(
        owner=person(request),
        name=form.cleaned_data["name"],
        system_prompt=settings.cleaned_data["system_prompt"],
        parameters=settings.parameters,
    )
    response = _field(request, chosen=preset.pk)
    return trigger_client_event(response, "toast", {"text": _("Preset “%(name)s” saved") % {"name": preset.name}})


@members_only
@require_POST
def delete(request: HttpRequest, preset_id: int) -> HttpResponse:
    preset = owned_preset(request.user, preset_id)
    services.delete_preset(preset=preset)
    response = _field(request)
    return trigger_client_event(response, "toast", {"text": _("Preset “%(name)s” deleted") % {"name": preset.name}})


def _field(request: HttpRequest, chosen: int | None = None) -> HttpResponse:
    context = {"presets": queries.presets(person(request)), "chosen_preset": chosen}
    return render(request, "chat/_presets.html", context)
