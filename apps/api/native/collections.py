"""Collections of pictures: those that the key's owner sees. Only one's own are changed."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, File, Query, Router, Schema
from ninja.files import UploadedFile

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_model
from apps.api.errors import conflict
from apps.api.native.bodies import Body, valid
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, key_of, owner_of
from apps.api.site import SENDS, also
from apps.search import catalogue, collections, embedding, indexes, queries, sending
from apps.search.forms import CollectionForm
from apps.search.models import CatalogueText, Collection
from apps.search.permissions import (
    owned_collection,
    owned_index,
    visible_collection,
    visible_collections,
)

router = Router(auth=KeyAuth(Scope.SEARCH), tags=["Collections of pictures"])


class CollectionIn(Body):
    name: str = Field(min_length=1, max_length=80)
    model: str = Field(min_length=1, max_length=80, description="Name of a deployment that sees pictures.")
    team: int | None = Field(None, ge=1, lt=2**31, description="Whose members see and search it.")
    about: str = Field("", max_length=4000, description="What is in it, and under which licence.")
    keeps_location: bool = Field(False, description="Keep where pictures were taken; else it is taken out.")


class CollectionChange(Body):
    name: str = Field(default_factory=str, min_length=1, max_length=80)
    team: int | None = Field(default_factory=lambda: None, ge=1, lt=2**31)
    about: str = Field(default_factory=str, max_length=4000)
    keeps_location: bool = Field(default_factory=bool)


class IndexOut(Schema):
    id: int
    model: str
    state: Literal["building", "serving"]
    problem: str = Field(description="Why it waits.")
    dimensions: int
    pictures: int = Field(description="In it.")
    waiting: int
    failed: int
    recall_at_10: float | None = Field(description="Against comparing with all pictures; null until measured.")
    median_ms: float | None = Field(description="Of a search in it, as measured with the recall.")


class CollectionOut(Schema):
    id: UUID
    name: str
    owner: str = Field(description="E-mail address.")
    team: int | None
    about: str
    keeps_location: bool
    created_at: datetime


class CollectionDetail(CollectionOut):
    texts: int = Field(description="In its catalogue.")
    indexes: list[IndexOut] = Field(description="The one that serves, and one that is being built.")


class IndexIn(Body):
    collection: UUID
    model: str = Field(min_length=1, max_length=80, description="Name of a deployment that sees pictures.")


class Counted(Schema):
    count: int


class TextOut(Schema):
    id: int
    code: str
    text: str


def _collection(row: Collection) -> CollectionOut:
    return CollectionOut(
        id=row.pk, name=row.name, owner=row.owner.email, team=row.team_id, about=row.about,
        keeps_location=row.keeps_location, created_at=row.created_at,
    )  # fmt: skip


def _detail(row: Collection) -> CollectionDetail:
    states = [
        IndexOut(
            id=one.index.pk, model=one.index.deployment, state=one.index.state, problem=one.index.problem,
            dimensions=one.index.dimensions, pictures=one.has, waiting=one.waiting, failed=one.failed,
            recall_at_10=one.index.recall, median_ms=one.index.recall_ms,
        )
        for one in queries.index_states(row)
    ]  # fmt: skip
    return CollectionDetail(**_collection(row).dict(), texts=row.texts.count(), indexes=states)


def _text(row: CatalogueText) -> TextOut:
    return TextOut(id=row.pk, code=row.code, text=row.text)


@router.get("/search/collections", response=Page[CollectionOut], summary="List collections")
@in_thread
def list_collections(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """One's own and those of one's teams, the newest first."""
    found = visible_collections(owner_of(request)).select_related("owner")
    return page_of(found, ("-created_at", "-id"), paging, _collection)


@router.post("/search/collections", response={201: CollectionDetail}, openapi_extra=SENDS, summary="Make a collection")
@creating
def create_collection(request: HttpRequest, payload: CollectionIn) -> CollectionDetail:
    check_model(key_of(request), payload.model)
    data = payload.dict(include={"name", "team", "about", "keeps_location"})
    form = valid(CollectionForm(data, user=owner_of(request))).cleaned_data
    owner, key = owner_of(request), key_of(request)
    return _detail(collections.create(owner=owner, deployment=payload.model, key=key, **form))


@router.get("/search/collections/{uuid:collection_id}", response=CollectionDetail, summary="Read a collection")
@in_thread
def get_collection(request: HttpRequest, collection_id: UUID) -> CollectionDetail:
    """With its indexes and how complete they are."""
    return _detail(visible_collection(owner_of(request), collection_id))


@router.patch("/search/collections/{uuid:collection_id}", response=CollectionDetail, summary="Change a collection")
@in_thread
def change_collection(request: HttpRequest, collection_id: UUID, payload: CollectionChange) -> CollectionDetail:
    found = owned_collection(owner_of(request), collection_id)
    now = {
        "name": found.name, "team": found.team_id, "about": found.about, "keeps_location": found.keeps_location
    }  # fmt: skip
    form = valid(CollectionForm(now | payload.dict(exclude_unset=True), user=owner_of(request))).cleaned_data
    return _detail(collections.change(collection=found, **form))


@router.delete("/search/collections/{uuid:collection_id}", response={204: None}, summary="Delete a collection")
@in_thread
def delete_collection(request: HttpRequest, collection_id: UUID) -> None:
    """With its pictures; the bytes they took are given back."""
    collections.delete(collection=owned_collection(owner_of(request), collection_id))


@router.post(
    "/search/indexes", response={201: CollectionDetail}, openapi_extra=SENDS, summary="Index with another model"
)
@in_thread
def switch_index(request: HttpRequest, payload: IndexIn) -> CollectionDetail:
    """Everything is embedded anew; the old index serves until the new one is complete."""
    check_model(key_of(request), payload.model)
    indexes.version_of(payload.model)
    found = owned_collection(owner_of(request), payload.collection)
    indexes.switch(collection=found, deployment=payload.model)
    return _detail(found)


@router.delete(
    "/search/indexes/{int:index_id}", response={204: None}, openapi_extra=also(409), summary="Give a new index up"
)
@in_thread
def give_index_up(request: HttpRequest, index_id: int) -> None:
    """409 when it serves."""
    if not indexes.give_up(index=owned_index(owner_of(request), index_id)):
        raise conflict("This index serves.")


@router.post("/search/indexes/{int:index_id}/retry", response=Counted, summary="Try failed pictures again")
@in_thread
def retry_index(request: HttpRequest, index_id: int) -> Counted:
    return Counted(count=embedding.retry_failed(index=owned_index(owner_of(request), index_id)))


@router.post("/search/indexes/{int:index_id}/measure", response={204: None}, summary="Measure the recall")
@in_thread
def measure_index(request: HttpRequest, index_id: int) -> None:
    """Against comparing with all pictures; the figure appears with the collection."""
    sending.ask_to_measure(owned_index(owner_of(request), index_id).pk)


@router.get("/search/collections/{uuid:collection_id}/texts", response=Page[TextOut], summary="List texts")
@in_thread
def list_texts(request: HttpRequest, collection_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    return page_of(visible_collection(owner_of(request), collection_id).texts.all(), ("id",), paging, _text)


@router.post("/search/collections/{uuid:collection_id}/texts", response={201: Counted}, summary="Add texts")
@in_thread
def add_texts(request: HttpRequest, collection_id: UUID, file: File[UploadedFile]) -> Counted:
    """A CSV file with a column text (or title) and perhaps sku. The answer counts those that are new."""
    found = owned_collection(owner_of(request), collection_id)
    return Counted(count=catalogue.add(collection=found, content=file.read()))


@router.delete("/search/collections/{uuid:collection_id}/texts", response={204: None}, summary="Delete all texts")
@in_thread
def clear_texts(request: HttpRequest, collection_id: UUID) -> None:
    catalogue.clear(collection=owned_collection(owner_of(request), collection_id))
