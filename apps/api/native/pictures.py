"""Pictures of collections: searching, reading, describing, deleting."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_model
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, key_of, owner_of
from apps.api.site import also
from apps.search import duplicates, explaining, pictures, query, saved, searching
from apps.search.models import Collection, Index, Picture, SavedSearch
from apps.search.permissions import owned_picture, owned_search, visible_collection, visible_picture, visible_text
from apps.search.views.files import sent_file

router = Router(auth=KeyAuth(Scope.SEARCH), tags=["Pictures"])
ASKS = also(404, 429)
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILES = {"responses": {200: {"content": {"image/jpeg": BINARY, "image/png": BINARY, "image/webp": BINARY}}}}
Share = float


class PartIn(Body):
    """One term of the query's sum."""

    words: str = Field("", max_length=query.MOST_CHARS)
    picture: UUID | None = Field(None, description="Of a collection.")
    sent: UUID | None = Field(None, description="A query picture.")
    weight: float = Field(1.0, ge=-2, le=2, description="Below zero takes away.")
    crop: list[Share] | None = Field(
        None, min_length=4, max_length=4, description="Left, top, right, bottom in shares of the picture's sides."
    )


class QueryIn(Body):
    parts: list[PartIn] = Field(default=[], max_length=query.MOST_PARTS)
    tags: list[str] = Field(default=[], max_length=8)
    kinds: list[Literal["jpeg", "png", "webp", "gif", "avif", "heic", "bmp", "tiff"]] = Field(default=[], max_length=8)
    since: date | None = None
    until: date | None = None
    smallest: int = Field(0, ge=0, le=100_000, description="Pixels of the shorter side, at least.")
    name: str = Field("", max_length=80, description="The file's name has it.")
    collections: list[UUID] = Field(default=[], max_length=20, description="Beside this one.")
    cut: float | None = Field(
        None, ge=-1, le=1, description="Lowest score; null leaves it to the search, -1 shows all."
    )
    order: Literal["best", "newest", "oldest"] = "best"
    rerank: bool = Field(True, description="The best 16 once more by the model's bridge, where it has one.")

    def as_query(self) -> query.Query:
        """Raises BadQuery."""
        told = QueryDict(mutable=True)
        told.setlist("part", [_written(part) for part in self.parts])
        told.setlist("tag", self.tags)
        told.setlist("kind", list(self.kinds))
        told.setlist("in", [str(one) for one in self.collections])
        for name in ("since", "until", "smallest", "name", "cut", "order"):
            value = getattr(self, name)
            if value is not None:
                told[name] = str(value)
        told["rerank"] = "on" if self.rerank else "off"
        return query.read(told)


class SearchIn(QueryIn):
    limit: int = Field(24, ge=1, le=100)
    cursor: str = Field("", max_length=500, description="`next` of the page before.")


class PictureOut(Schema):
    id: UUID
    collection: UUID
    name: str
    kind: str
    width: int
    height: int
    bytes: int
    caption: str
    tags: list[str]
    taken_at: datetime | None
    added_at: datetime


class Hit(Schema):
    picture: PictureOut
    score: float | None = Field(description="Cosine; compares within one search only. Null without parts.")
    match: float | None = Field(description="Likelihood of belonging together, by the bridge. Null where not reranked.")


class Hits(Schema):
    data: list[Hit]
    next: str | None = Field(description="The cursor of the page behind this one; null on the last.")
    cut: float | None = Field(description="The score below which nothing is told.")


class PictureChange(Body):
    tags: list[str] = Field(default_factory=list, max_length=32)
    caption: str = Field(default_factory=str, max_length=1000)


class LabelsIn(Body):
    labels: list[str] = Field(min_length=2, max_length=50)


class LabelOut(Schema):
    label: str
    probability: float = Field(description="Among these labels.")
    score: float = Field(description="Cosine.")


class WordOut(Schema):
    text: str
    weight: float = Field(description="What the logit loses without it.")
    map: list[Share] = Field(description="Where it looked: shares of grid x grid fields, row by row.")


class LookedOut(Schema):
    grid: int
    match: float = Field(description="Likelihood of belonging together.")
    words: list[WordOut]


class PartShare(Schema):
    part: str = Field(description="kind:weight:value")
    share: float = Field(description="What it adds to the score.")


class WhyOut(Schema):
    score: float
    parts: list[PartShare]
    looked: LookedOut | None = Field(description="By the bridge; null without one, or without words.")


class QuestionIn(Body):
    model: str = Field(min_length=1, max_length=80, description="A deployment for visual-question-answering.")
    picture: UUID = Field(description="Of a collection.")
    question: str = Field(min_length=1, max_length=400)


class AnswerOut(Schema):
    answer: str
    probability: float


class AnswersOut(LookedOut):
    answers: list[AnswerOut] = Field(description="The best first.")


class FittingText(Schema):
    id: int
    code: str
    text: str
    score: float


class SaveIn(Body):
    name: str = Field(min_length=1, max_length=80)
    query: QueryIn


class SearchOut(Schema):
    id: UUID
    name: str
    query: str = Field(description="As it stands in the address of the search page.")
    created_at: datetime


class ClickIn(Body):
    place: int = Field(ge=1, le=100_000, description="Of the result that was opened, counted from 1.")
    picture: UUID | None = None
    text: int | None = Field(None, ge=1, lt=2**31)
    query: str = Field("", max_length=2000)


def _saved(row: SavedSearch) -> SearchOut:
    return SearchOut(id=row.pk, name=row.name, query=row.query, created_at=row.created_at)


def _written(part: PartIn) -> str:
    given = [
        (kind, value)
        for kind, value in (("words", part.words), ("picture", part.picture), ("sent", part.sent))
        if value
    ]
    if len(given) != 1:
        raise query.BadQuery("part: has words, a picture or one that was sent")
    kind, value = given[0]
    crop = "@" + ",".join(f"{one:g}" for one in part.crop) if part.crop else ""
    return f"{kind}{crop}:{part.weight:g}:{value}"


def _picture(row: Picture) -> PictureOut:
    names = set(PictureOut.model_fields) - {"collection"}
    return PictureOut(collection=row.collection_id, **{name: getattr(row, name) for name in names})


def _hit(hit: searching.Hit) -> Hit:
    return Hit(picture=_picture(hit.picture), score=hit.score, match=hit.match)


def _allowed(request: HttpRequest, collection: Collection) -> None:
    """Raises UnknownDeployment for a key that is for other models than the collection's."""
    serving = collection.indexes.filter(state=Index.State.SERVING).first()
    if serving is not None:
        check_model(key_of(request), serving.deployment)


@router.post(
    "/search/collections/{uuid:collection_id}/search", response=Hits, openapi_extra=ASKS, summary="Search pictures"
)
@in_thread
def search_pictures(request: HttpRequest, collection_id: UUID, payload: SearchIn) -> Hits:
    """By words, pictures, both with weights, minus what is not wanted. Without parts, what fits the filters by date."""
    collection = visible_collection(owner_of(request), collection_id)
    if payload.parts:
        _allowed(request, collection)
    asked = {"user": owner_of(request), "key": key_of(request)}
    search = searching.Search(collection=collection, query=payload.as_query(), **asked)
    found = search.page(payload.cursor, payload.limit)
    return Hits(data=[_hit(hit) for hit in found.hits], next=found.following or None, cut=found.cut)


@router.get("/search/collections/{uuid:collection_id}/pictures", response=Page[PictureOut], summary="List pictures")
@in_thread
def list_pictures(request: HttpRequest, collection_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    """The newest first."""
    found = visible_collection(owner_of(request), collection_id).pictures.all()
    return page_of(found, ("-added_at", "-id"), paging, _picture)


@router.get(
    "/search/collections/{uuid:collection_id}/duplicates/{duplicates_kind}",
    response=list[list[PictureOut]],
    openapi_extra=also(404),
    summary="Find duplicates",
)
@in_thread
def list_duplicates(
    request: HttpRequest, collection_id: UUID, duplicates_kind: Literal["exact", "near", "similar"]
) -> list[list[PictureOut]]:
    """Groups: the same file (exact), the same picture (near), what the model takes for nearly the same (similar)."""
    user = owner_of(request)
    groups = duplicates.groups(duplicates_kind, visible_collection(user, collection_id), user)
    return [[_picture(one) for one in group] for group in groups]


@router.post("/search/collections/{uuid:collection_id}/searches", response={201: SearchOut}, summary="Save a search")
@in_thread
def save_search(request: HttpRequest, collection_id: UUID, payload: SaveIn) -> SearchOut:
    """Whoever sees the collection may open it. The same name again replaces it."""
    collection, wanted = visible_collection(owner_of(request), collection_id), payload.query.as_query()
    return _saved(saved.save(collection=collection, owner=owner_of(request), name=payload.name, query=wanted))


@router.get(
    "/search/collections/{uuid:collection_id}/searches", response=Page[SearchOut], summary="List saved searches"
)
@in_thread
def list_searches(request: HttpRequest, collection_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    found = visible_collection(owner_of(request), collection_id)
    return page_of(found.searches.all(), ("name", "id"), paging, _saved)


@router.delete("/search/searches/{uuid:search_id}", response={204: None}, summary="Delete a saved search")
@in_thread
def delete_search(request: HttpRequest, search_id: UUID) -> None:
    """One's own, or any of one's own collection."""
    owned_search(owner_of(request), search_id).delete()


@router.post("/search/collections/{uuid:collection_id}/clicks", response={204: None}, summary="Tell what was opened")
@in_thread
def record_click(request: HttpRequest, collection_id: UUID, payload: ClickIn) -> None:
    """Which result somebody chose: the collection's page shows how high such results stand."""
    user = owner_of(request)
    collection = visible_collection(user, collection_id)
    if (payload.picture is None) == (payload.text is None):
        raise ValueError("picture: or text, one of them was opened")
    picture = visible_picture(user, payload.picture) if payload.picture else None
    text = visible_text(user, payload.text) if payload.text else None
    saved.click(collection=collection, user=user, query=payload.query, place=payload.place, picture=picture, text=text)


@router.get("/search/pictures/{uuid:picture_id}", response=PictureOut, summary="Read a picture's facts")
@in_thread
def get_picture(request: HttpRequest, picture_id: UUID) -> PictureOut:
    return _picture(visible_picture(owner_of(request), picture_id))


@router.patch("/search/pictures/{uuid:picture_id}", response=PictureOut, summary="Describe a picture")
@in_thread
def change_picture(request: HttpRequest, picture_id: UUID, payload: PictureChange) -> PictureOut:
    found = owned_picture(owner_of(request), picture_id)
    return _picture(pictures.describe(picture=found, **payload.dict(exclude_unset=True)))


@router.delete("/search/pictures/{uuid:picture_id}", response={204: None}, summary="Delete a picture")
@in_thread
def delete_picture(request: HttpRequest, picture_id: UUID) -> None:
    pictures.delete(pictures=[owned_picture(owner_of(request), picture_id)])


@router.get("/search/pictures/{uuid:picture_id}/file", openapi_extra=FILES, summary="Download a picture")
@in_thread
def get_picture_file(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    """As it is kept: upright, without what cameras write beside it."""
    return sent_file(request, visible_picture(owner_of(request), picture_id).file)


@router.get("/search/pictures/{uuid:picture_id}/similar", response=list[Hit], summary="Find pictures like it")
@in_thread
def list_similar(request: HttpRequest, picture_id: UUID) -> list[Hit]:
    """Of its collection; empty while it is in no index."""
    user = owner_of(request)
    return [_hit(hit) for hit in searching.similar(visible_picture(user, picture_id), user)]


@router.get("/search/pictures/{uuid:picture_id}/texts", response=list[FittingText], summary="Find texts that fit")
@in_thread
def list_fitting_texts(request: HttpRequest, picture_id: UUID) -> list[FittingText]:
    """Of the collection's catalogue, the best first."""
    found = searching.fitting_texts(visible_picture(owner_of(request), picture_id))
    return [FittingText(id=text.pk, code=text.code, text=text.text, score=score) for text, score in found]


@router.post(
    "/search/pictures/{uuid:picture_id}/labels", response=list[LabelOut], openapi_extra=ASKS, summary="Choose a label"
)
@in_thread
def label_picture(request: HttpRequest, picture_id: UUID, payload: LabelsIn) -> list[LabelOut]:
    """Which of your labels fits, without any training."""
    found = visible_picture(owner_of(request), picture_id)
    _allowed(request, found.collection)
    rows = searching.fitting_labels(found, [one[:200] for one in payload.labels], key_of(request))
    return [LabelOut(label=label, probability=share, score=score) for label, share, score in rows]


@router.post(
    "/search/pictures/{uuid:picture_id}/why", response=WhyOut | None, openapi_extra=ASKS, summary="Explain a result"
)
@in_thread
def explain_picture(request: HttpRequest, picture_id: UUID, payload: QueryIn) -> WhyOut | None:
    """What each part of a query adds to this picture's score, and where each word looked. Null without parts, and for a
    picture that is not in the index yet."""
    found = visible_picture(owner_of(request), picture_id)
    _allowed(request, found.collection)
    why = explaining.why(picture=found, query=payload.as_query(), user=owner_of(request), key=key_of(request))
    if why is None:
        return None
    parts = [PartShare(part=str(part), share=share) for part, share in why.parts]
    return WhyOut(score=why.score, parts=parts, looked=LookedOut(**_looked(why.looked)) if why.looked else None)


@router.post("/search/questions", response=AnswersOut, openapi_extra=ASKS, summary="Ask about a picture")
@in_thread
def ask_picture(request: HttpRequest, payload: QuestionIn) -> AnswersOut:
    """One of the answers that the model knows, with its probability."""
    check_model(key_of(request), payload.model)
    target = explaining.answering(payload.model)
    found = visible_picture(owner_of(request), payload.picture)
    looked = explaining.answer(target=target, thumbnail=found.thumbnail, question=payload.question, who=key_of(request))
    answers = [AnswerOut(answer=answer, probability=share) for answer, share in looked.answers]
    return AnswersOut(**_looked(looked), answers=answers)


def _looked(looked: explaining.Looked) -> dict[str, Any]:
    words = [WordOut(text=word.text, weight=word.weight, map=word.shares) for word in looked.words]
    return {"grid": looked.grid, "match": looked.match, "words": words}
