"""Files on their way into a collection, and pictures that are only searched with."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from ninja import Field, File, Form, Query, Router, Schema
from ninja.files import UploadedFile

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, owner_of
from apps.api.site import also
from apps.search import archives, sending, uploads
from apps.search.models import QueryPicture, Upload, UploadItem
from apps.search.permissions import owned_collection, owned_query_picture, owned_upload
from contracts import names

router = Router(auth=KeyAuth(Scope.SEARCH), tags=["Uploading pictures"])


class UploadIn(Body):
    collection: UUID | None = Field(None, description="Begins an upload.")
    upload: UUID | None = Field(None, description="Goes on with one.")


class UploadOut(Schema):
    id: UUID
    collection: UUID
    is_paused: bool
    total: int = Field(description="Files; those of an archive as they are unpacked.")
    waiting: int
    reading: int
    stored: int = Field(description="Kept, not in the index yet.")
    done: int = Field(description="Can be found.")
    known: int = Field(description="Were there already.")
    failed: int
    created_at: datetime


class ItemOut(Schema):
    id: int
    name: str
    state: Literal["waiting", "reading", "stored", "done", "known", "failed"]
    error: str
    picture: UUID | None


class Counted(Schema):
    count: int


class QueryPictureOut(Schema):
    id: UUID
    is_ready: bool
    error: str = Field(description="Why it cannot be used.")


def _upload(row: Upload) -> UploadOut:
    figures = uploads.figures(row)
    counts = {name: figures[name] for name in ("total", *UploadItem.State.values)}
    return UploadOut(
        id=row.pk, collection=row.collection_id, is_paused=row.is_paused, created_at=row.created_at, **counts
    )


def _item(row: UploadItem) -> ItemOut:
    return ItemOut(id=row.pk, name=row.name, state=row.state, error=row.error, picture=row.picture_id)


def _query_picture(row: QueryPicture) -> QueryPictureOut:
    return QueryPictureOut(id=row.pk, is_ready=row.is_ready, error=row.error)


@router.post("/search/uploads", response={201: UploadOut}, openapi_extra=also(404), summary="Upload pictures")
@in_thread
def upload_pictures(request: HttpRequest, payload: Form[UploadIn], files: File[list[UploadedFile]]) -> UploadOut:
    """Pictures or ZIP files as multipart/form-data, some at a time: the first request names a collection, the others
    the upload that it answered with. They are read in the background; what is there already is not added again."""
    owner = owner_of(request)
    if payload.upload:
        found = owned_upload(owner, payload.upload)
    elif payload.collection:
        found = uploads.begin(collection=owned_collection(owner, payload.collection))
    else:
        raise ValueError("collection: say to which")
    uploads.receive(upload=found, files=files)
    return _upload(found)


@router.get("/search/uploads/{uuid:upload_id}", response=UploadOut, summary="Read how far an upload is")
@in_thread
def get_upload(request: HttpRequest, upload_id: UUID) -> UploadOut:
    return _upload(owned_upload(owner_of(request), upload_id))


@router.get("/search/uploads/{uuid:upload_id}/files", response=Page[ItemOut], summary="List files of an upload")
@in_thread
def list_upload_files(request: HttpRequest, upload_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    """With the reason for each that failed."""
    return page_of(owned_upload(owner_of(request), upload_id).items.all(), ("id",), paging, _item)


@router.post("/search/uploads/{uuid:upload_id}/pause", response=UploadOut, summary="Pause an upload")
@in_thread
def pause_upload(request: HttpRequest, upload_id: UUID) -> UploadOut:
    uploads.pause(upload=owned_upload(owner_of(request), upload_id))
    return _upload(owned_upload(owner_of(request), upload_id))


@router.post("/search/uploads/{uuid:upload_id}/resume", response=UploadOut, summary="Go on with an upload")
@in_thread
def resume_upload(request: HttpRequest, upload_id: UUID) -> UploadOut:
    uploads.resume(upload=owned_upload(owner_of(request), upload_id))
    return _upload(owned_upload(owner_of(request), upload_id))


@router.post("/search/uploads/{uuid:upload_id}/retry", response=Counted, summary="Try failed files again")
@in_thread
def retry_upload(request: HttpRequest, upload_id: UUID) -> Counted:
    """Those that can be read at all; the answer counts them."""
    return Counted(count=uploads.retry(upload=owned_upload(owner_of(request), upload_id)))


@router.delete("/search/uploads/{uuid:upload_id}", response={204: None}, summary="Forget an upload")
@in_thread
def dismiss_upload(request: HttpRequest, upload_id: UUID) -> None:
    """Files that were not read go with it; pictures that are stored stay."""
    uploads.dismiss(upload=owned_upload(owner_of(request), upload_id))


@router.post("/search/query-pictures", response={202: QueryPictureOut}, summary="Send a picture to search with")
@in_thread
def send_query_picture(request: HttpRequest, picture: File[UploadedFile]) -> QueryPictureOut:
    """Kept for a day. It can be searched with once `is_ready`."""
    if (picture.size or 0) > settings.SEARCH_MAX_FILE_MB * 2**20:
        raise ValueError(f"picture: is larger than {settings.SEARCH_MAX_FILE_MB} MB")
    name = archives.clean_name(str(picture.name))
    picture.name = "picture"
    made = QueryPicture.objects.create(owner=owner_of(request), name=name, file=picture)
    transaction.on_commit(lambda: sending.send(names.READ_QUERY_PICTURE_TASK, str(made.pk)))
    made.refresh_from_db()
    return _query_picture(made)


@router.get(
    "/search/query-pictures/{uuid:query_picture_id}", response=QueryPictureOut, summary="Read whether it is ready"
)
@in_thread
def get_query_picture(request: HttpRequest, query_picture_id: UUID) -> QueryPictureOut:
    return _query_picture(owned_query_picture(owner_of(request), query_picture_id))
