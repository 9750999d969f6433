"""Limits: who may use how much. For administrators; what of them is used, everybody reads at usage/limits."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, who
from apps.api.native.usage import LimitScope
from apps.quotas import services, subjects
from apps.quotas.models import Limit, Metric, Window
from apps.quotas.models import Scope as Holders
from apps.quotas.presets import PRESETS, Preset
from apps.quotas.queries import effect_of

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Limits"])
SUBJECT = "Id of the team, person or key; empty for the organisation, or as the default of everybody in the scope."


class LimitOut(Schema):
    id: int
    scope: LimitScope
    subject: str = Field(description=SUBJECT)
    metric: Metric
    window: Window
    amount: int | None = Field(description="null: no limit, also where the default has one.")
    set_by: str = Field(description="E-mail address, or the preset.")
    set_at: datetime


class SubjectIn(Body):
    scope: LimitScope
    subject: str = Field("", max_length=40, description=SUBJECT)

    def values(self) -> dict[str, Any]:
        """Of somebody who is there. Raises ValueError(`subject: reason`)."""
        scope = Holders(self.scope)
        if self.subject and subjects.find(scope, self.subject) is None:
            raise ValueError("subject: does not exist")
        return {**self.model_dump(), "scope": scope}


class LimitIn(SubjectIn):
    metric: Metric
    window: Window = Field(description="`now` for requests at once and stored bytes, another one for the rest.")
    amount: int | None = Field(ge=0, lt=2**50, description="null: no limit, also where the default has one.")

    def values(self) -> dict[str, Any]:
        """Raises ValueError(`field: reason`) also for a limit that cannot be."""
        found = super().values()
        services.check_limit(**found)
        return found


class LimitPresetIn(SubjectIn):
    preset: str = Field(max_length=20)


class EffectOut(Schema):
    used: float = Field(description="For a default the highest of anybody it would hold for.")
    over: list[str] = Field(description="Names of those who would be refused at once.")
    resets_at: datetime | None = Field(description="When those are let in again at the latest.")


class PresetLimit(Schema):
    metric: Metric
    window: Window
    amount: int


class PresetLimits(Schema):
    name: str
    limits: list[PresetLimit]


class Filters(Paging):
    scope: LimitScope | None = None
    subject: str | None = Field(None, max_length=40)


def limit_out(limit: Limit) -> LimitOut:
    return LimitOut(**{name: getattr(limit, name) for name in LimitOut.model_fields})


@router.get("/limits", response=Page[LimitOut], summary="List limits")
@in_thread
def list_limits(request: HttpRequest, filters: Query[Filters]) -> dict[str, Any]:
    """As they were set. What holds for somebody, with what is used of it, is at usage/limits."""
    asked = {"scope": filters.scope, "subject": filters.subject}
    found = Limit.objects.filter(**{name: value for name, value in asked.items() if value is not None})
    return page_of(found, ("id",), filters, limit_out)


@router.put("/limits", response=LimitOut, summary="Set a limit")
@in_thread
def set_limit(request: HttpRequest, payload: LimitIn) -> LimitOut:
    """In place of the one of the same scope, subject, metric and window. What was used before counts."""
    return limit_out(services.set_limit(**payload.values(), **who(request)))


@router.post("/limits/effect", response=EffectOut, summary="Preview a limit")
@in_thread
def preview_limit(request: HttpRequest, payload: LimitIn) -> EffectOut:
    """What it would mean now. Nothing is changed."""
    found = effect_of(**payload.values())
    return EffectOut(used=found.used, over=found.over, resets_at=found.resets_at)


@router.delete("/limits/{int:limit_id}", response={204: None}, summary="Remove a limit")
@in_thread
def remove_limit(request: HttpRequest, limit_id: int) -> None:
    """The default of the scope holds again, if there is one."""
    services.remove_limit(limit=get_object_or_404(Limit, pk=limit_id), **who(request))


@router.get("/limits/presets", response=Page[PresetLimits], summary="List presets of limits")
@in_thread
def list_limit_presets(request: HttpRequest) -> dict[str, Any]:
    """There is one page."""
    return {"data": [_preset(name, preset) for name, preset in PRESETS.items()], "next": None}


@router.post("/limits/presets", response=Page[LimitOut], summary="Apply a preset of limits")
@in_thread
def apply_limit_preset(request: HttpRequest, payload: LimitPresetIn) -> dict[str, Any]:
    """In place of all limits that the subject had. Answers those it has now."""
    made = services.apply_preset(**payload.values(), **who(request))
    return {"data": [limit_out(limit) for limit in made], "next": None}


def _preset(name: str, preset: Preset) -> PresetLimits:
    told = [PresetLimit(metric=metric, window=window, amount=amount) for (metric, window), amount in preset.items()]
    return PresetLimits(name=name, limits=told)
