"""Comparisons: one question, two answers side by side, and the vote between them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_any_model
from apps.api.native.bodies import MODEL, NO_SAMPLING, Body, SamplingIn, text_field
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, key_of, owner_of
from apps.api.site import SENDS
from apps.chat import compare, queries
from apps.chat.models import Comparison, Lane
from apps.chat.permissions import owned_comparison

router = Router(auth=KeyAuth(Scope.CONVERSATIONS), tags=["Comparisons"])
Vote = Literal["", "A", "B", "T", "N"]
VOTES = "A or B is better, T is equal, N is neither; empty is no vote."


class LaneOut(Schema):
    letter: Literal["A", "B"]
    text: str
    model: str = Field(description="Empty until the vote when the comparison is blind.")
    parameters: dict[str, Any] = Field(description="Empty until the vote when the comparison is blind.")
    status: Literal["waiting", "done", "stopped", "failed"]
    request_id: str = Field(description="For /api/v1/requests.")
    usage: dict[str, Any] = Field(description="Empty until the vote when the comparison is blind.")
    error: dict[str, Any]


class ComparisonOut(Schema):
    id: UUID
    prompt: str
    system_prompt: str
    blind: bool
    vote: Vote = Field(description=VOTES)
    created_at: datetime
    lanes: list[LaneOut]


class LaneIn(Body):
    model: str = Field("", max_length=80, description=MODEL)
    parameters: SamplingIn = NO_SAMPLING


class ComparisonIn(Body):
    prompt: str = text_field(min_length=1)
    system_prompt: str = text_field(default="")
    blind: bool = False
    lanes: list[LaneIn] = Field(min_length=2, max_length=2)


class VoteIn(Body):
    vote: Vote = Field(description=VOTES)


class VotesOut(Schema):
    A: int
    B: int
    T: int
    N: int


def _lane(lane: Lane, *, hidden: bool) -> LaneOut:
    """Speed gives a model away as well as its name."""
    told = ("", {}, {}) if hidden else (lane.model_name, lane.parameters, lane.usage)
    names = ("letter", "text", "status", "request_id", "error")
    values = dict(zip(("model", "parameters", "usage"), told, strict=True))
    return LaneOut(**{name: getattr(lane, name) for name in names}, **values)


def comparison_out(found: Comparison) -> ComparisonOut:
    names = ("prompt", "system_prompt", "blind", "vote", "created_at")
    lanes = [_lane(lane, hidden=found.is_hidden) for lane in found.lanes.all()]
    return ComparisonOut(id=found.pk, lanes=lanes, **{name: getattr(found, name) for name in names})


@router.get("/comparisons", response=Page[ComparisonOut], summary="List comparisons")
@in_thread
def list_comparisons(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The newest first."""
    return page_of(queries.comparisons(owner_of(request)), ("-created_at", "-id"), paging, comparison_out)


@router.post("/comparisons", response={201: ComparisonOut}, openapi_extra=SENDS, summary="Compare two answers")
@creating
def create_comparison(request: HttpRequest, payload: ComparisonIn) -> ComparisonOut:
    """Both answers are being written when this returns. When one cannot be, neither is begun."""
    for lane in payload.lanes:
        check_any_model(key_of(request), lane.model)
    started = compare.start_comparison(
        owner=owner_of(request),
        prompt=payload.prompt,
        system_prompt=payload.system_prompt,
        blind=payload.blind,
        lanes=[{"deployment": lane.model, "parameters": lane.parameters.stored()} for lane in payload.lanes],
    )
    return comparison_out(started)


@router.get("/comparisons/votes", response=VotesOut, summary="Count one's votes")
@in_thread
def count_votes(request: HttpRequest) -> dict[str, int]:
    return queries.vote_counts(owner_of(request))


@router.get("/comparisons/{uuid:comparison_id}", response=ComparisonOut, summary="Read a comparison")
@in_thread
def get_comparison(request: HttpRequest, comparison_id: UUID) -> ComparisonOut:
    return comparison_out(owned_comparison(owner_of(request), comparison_id))


@router.put("/comparisons/{uuid:comparison_id}/vote", response=ComparisonOut, summary="Vote")
@in_thread
def vote_comparison(request: HttpRequest, comparison_id: UUID, payload: VoteIn) -> ComparisonOut:
    found = owned_comparison(owner_of(request), comparison_id)
    compare.vote(comparison=found, vote=payload.vote)
    return comparison_out(found)
