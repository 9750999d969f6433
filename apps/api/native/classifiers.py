"""Classifiers that were taught on the pages, and what the published version of one says."""

from datetime import datetime
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from ninja.responses import Response
from pydantic import model_validator

from apps.accounts.models import APIKey, Scope
from apps.api.auth import KeyAuth, check_model
from apps.api.errors import conflict, invalid, worker_error
from apps.api.idempotency import ticket_of
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, owner_of
from apps.api.site import ASKS, also
from apps.quotas.admission import headers as ratelimit_headers
from apps.quotas.asking import ask
from apps.teach.examples import MOST_CHARS
from apps.teach.models import Classifier, Version
from apps.teach.permissions import visible_classifier, visible_classifiers
from apps.teach.teaching import answer_of
from contracts.clips import MOST_SECONDS
from contracts.few_shot import LARGEST, LEAST_VALUES, MOST_INPUTS, MOST_VALUES, TASK
from contracts.messages import Event

router = Router(auth=KeyAuth(Scope.CLASSIFY), tags=["Taught classifiers"])


class ClassifierOut(Schema):
    id: UUID
    name: str
    owner: str = Field(description="E-mail address.")
    team: int | None
    reads: str = Field(description="texts, images, clips or windows")
    version: int | None = Field(description="The one that is published and answers; null for none.")
    classes: list[str] = Field(description="Of the published version.")
    judged: int | None = Field(description="Of its examples, those that were judged by the others.")
    right: int | None = Field(description="Of these, those told right.")
    created_at: datetime


class AskIn(Body):
    texts: list[str] = Field(default_factory=list, max_length=MOST_INPUTS)
    images: list[str] = Field(default_factory=list, max_length=MOST_INPUTS, description="Pictures in base64.")
    clips: list[str] = Field(
        default_factory=list, max_length=MOST_INPUTS,
        description=f"Spoken: WAV files in base64, up to {MOST_SECONDS:g} seconds each.",
    )  # fmt: skip
    windows: list[list[float]] = Field(
        default_factory=list, max_length=MOST_INPUTS,
        description=f"Of a sensor: {LEAST_VALUES} to {MOST_VALUES} numbers each.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _is_one(self) -> "AskIn":
        if [bool(one) for one in (self.texts, self.images, self.clips, self.windows)].count(True) != 1:
            raise ValueError("give texts, images, clips or windows")
        if any(len(text) > MOST_CHARS for text in self.texts):
            raise ValueError(f"a text has at most {MOST_CHARS} characters")
        if not all(LEAST_VALUES <= len(one) <= MOST_VALUES for one in self.windows):
            raise ValueError(f"a window has {LEAST_VALUES} to {MOST_VALUES} numbers")
        if not all(abs(value) <= LARGEST for one in self.windows for value in one):
            raise ValueError(f"a number of a window lies between -{LARGEST:g} and {LARGEST:g}")
        return self


class LabelOut(Schema):
    label: str
    score: float


class AnswerOut(Schema):
    labels: list[LabelOut] = Field(description="The likeliest first; scores sum to 1.")
    is_none: bool = Field(description="It is farther from all classes than what was taught: of none of them.")
    distance: float | None = Field(description="From the nearest class; 1 is where is_none begins.")


class AnswersOut(Schema):
    classifier: UUID
    version: int
    results: list[AnswerOut]
    usage: dict[str, int]


def _classifier(row: Classifier) -> ClassifierOut:
    version = row.published
    report: dict[str, Any] = (version.report or {}) if version else {}
    return ClassifierOut(
        id=row.pk, name=row.name, owner=row.owner.email, team=row.team_id, reads=row.reads,
        version=version.number if version else None, classes=version.names if version else [],
        judged=report.get("judged"), right=report.get("right"), created_at=row.created_at,
    )  # fmt: skip


@router.get("/classifiers", response=Page[ClassifierOut], summary="List classifiers")
@in_thread
def list_classifiers(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """One's own and those of one's teams."""
    rows = visible_classifiers(owner_of(request)).select_related("owner", "published").defer("published__adapter")
    return page_of(rows, ("name", "id"), paging, _classifier)


@router.get("/classifiers/{uuid:classifier_id}", response=ClassifierOut, summary="Read a classifier")
@in_thread
def get_classifier(request: HttpRequest, classifier_id: UUID) -> ClassifierOut:
    return _classifier(visible_classifier(owner_of(request), classifier_id))


@router.post(
    "/classifiers/{uuid:classifier_id}/predict",
    response=AnswersOut,
    openapi_extra={**ASKS, **also(404, 409, 429, 504)},
    summary="Ask a classifier",
)
async def ask_classifier(request: HttpRequest, classifier_id: UUID, payload: AskIn) -> Response:
    """Texts, pictures, clips or windows, as it reads them, to the version that is published. 409 when none is."""
    key: APIKey = request.auth  # type: ignore[attr-defined]
    found, version = await sync_to_async(_published)(key, classifier_id)
    if not getattr(payload, found.reads):
        raise invalid(ValueError(f"{found.reads}: is what this classifier reads"))
    ticket = await ticket_of(request)
    sent, answer = await ask(
        key, name=found.deployment, task=TASK,
        inputs={"adapter": version.adapter, found.reads: getattr(payload, found.reads)},
        request_id=ticket.request_id, keep=ticket.keep,
    )  # fmt: skip
    if Event.ERROR in answer:
        raise worker_error(answer[Event.ERROR])
    if sent.inputs["adapter"] != version.adapter:  # of an Idempotency-Key that comes again
        raise conflict("Another version was published since this request was first sent.")
    results = [_answer(answer_of(version, one)) for one in answer[Event.RESULT]["items"]]
    usage = {"prompt_tokens": answer[Event.DONE]["prompt_tokens"]}
    body = {"classifier": str(found.pk), "version": version.number, "results": results, "usage": usage}
    return Response(body, headers=ratelimit_headers())


def _published(key: APIKey, classifier_id: UUID) -> tuple[Classifier, Version]:
    """Raises Http404 for a stranger's, APIError 409, UnknownDeployment for a key that is for others."""
    found = visible_classifier(key.owner, classifier_id)
    check_model(key, found.deployment)
    if found.published is None:
        raise conflict("No version of this classifier is published.")
    return found, found.published


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    labels = [{"label": name, "score": share} for name, share in said["shares"]]
    return {"labels": labels, "is_none": said["is_none"], "distance": said["distance"]}
