"""Presets: instructions and sampling parameters under a name."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import NO_SAMPLING, Body, SamplingIn, text_field
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, owner_of
from apps.chat import queries, services
from apps.chat.models import Preset
from apps.chat.permissions import owned_preset

router = Router(auth=KeyAuth(Scope.CONVERSATIONS), tags=["Presets"])


class PresetOut(Schema):
    id: int
    name: str
    system_prompt: str
    parameters: dict[str, Any]


class PresetIn(Body):
    name: str = Field(min_length=1, max_length=60, description="A preset of this name is replaced.")
    system_prompt: str = text_field(default="")
    parameters: SamplingIn = NO_SAMPLING


def preset_out(preset: Preset) -> PresetOut:
    return PresetOut(id=preset.pk, name=preset.name, system_prompt=preset.system_prompt, parameters=preset.parameters)


@router.get("/presets", response=Page[PresetOut], summary="List presets")
@in_thread
def list_presets(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return page_of(queries.presets(owner_of(request)), ("name", "id"), paging, preset_out)


@router.post("/presets", response={201: PresetOut}, summary="Save a preset")
@creating
def save_preset(request: HttpRequest, payload: PresetIn) -> PresetOut:
    saved = services.save_preset(
        owner=owner_of(request),
        name=payload.name,
        system_prompt=payload.system_prompt,
        parameters=payload.parameters.stored(),
    )
    return preset_out(saved)


@router.get("/presets/{int:preset_id}", response=PresetOut, summary="Read a preset")
@in_thread
def get_preset(request: HttpRequest, preset_id: int) -> PresetOut:
    return preset_out(owned_preset(owner_of(request), preset_id))


@router.delete("/presets/{int:preset_id}", response={204: None}, summary="Delete a preset")
@in_thread
def delete_preset(request: HttpRequest, preset_id: int) -> None:
    services.delete_preset(preset=owned_preset(owner_of(request), preset_id))
