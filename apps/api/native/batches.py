"""Classification of files: each line is a text, its classes are fetched when it is done. Only one's own."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Field, File, Form, Query, Router, Schema
from ninja.files import UploadedFile

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_model
from apps.api.errors import conflict
from apps.api.native.bodies import Body, valid
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, key_of, owner_of
from apps.api.site import SENDS, also
from apps.classify import batches, downloads
from apps.classify.forms import FileForm
from apps.classify.models import Batch
from apps.classify.permissions import owned_batch

router = Router(auth=KeyAuth(Scope.CLASSIFY), tags=["Classification of files"])
LINES = {"schema": {"type": "string"}}
FILES = {"responses": {200: {"content": {"text/csv": LINES, "application/jsonl": LINES}}}}


class BatchIn(Body):
    model: str = Field(min_length=1, max_length=80, description="Name of a deployment.")
    column: str = Field("", max_length=200, description="Where the text is; found by itself when left out.")


class BatchOut(Schema):
    id: UUID
    model: str
    file_name: str
    column: str
    label_column: str = Field(description="The right answers, where the file has them.")
    status: Literal["reading", "running", "stopped", "done", "cancelled", "failed"]
    problem: str = Field(description="Why it failed, waits or was stopped.")
    total: int = Field(description="Texts.")
    done: int
    failed: int = Field(description="Of those done, the ones that could not be classified.")
    agreement: float | None = Field(description="Share of right answers; null where the file does not tell.")
    counts: dict[str, int] = Field(description="Class: texts.")
    created_at: datetime
    ended_at: datetime | None


def _batch(batch: Batch) -> BatchOut:
    names = set(BatchOut.model_fields) - {"id", "model"}
    return BatchOut(id=batch.pk, model=batch.deployment, **{name: getattr(batch, name) for name in names})


@router.post("/classify/files", response={201: BatchOut}, openapi_extra=SENDS, summary="Classify a file")
@in_thread
def classify_file(request: HttpRequest, payload: Form[BatchIn], file: File[UploadedFile]) -> BatchOut:
    """A .txt, .csv, .tsv or .jsonl file as multipart/form-data. Its bytes count as stored until it is deleted."""
    check_model(key_of(request), payload.model)
    form = valid(FileForm({"deployment": payload.model, "column": payload.column}, {"file": file})).cleaned_data
    values = {"deployment": form["deployment"], "upload": form["file"], "column": form["column"]}
    return _batch(batches.start(owner=owner_of(request), key=key_of(request), **values))


@router.get("/classify/files", response=Page[BatchOut], summary="List files")
@in_thread
def list_classified_files(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The newest first."""
    found = Batch.objects.filter(owner=owner_of(request)).defer("skipped")
    return page_of(found, ("-created_at", "-id"), paging, _batch)


@router.get("/classify/files/{uuid:batch_id}", response=BatchOut, summary="Read how far a file is")
@in_thread
def get_classified_file(request: HttpRequest, batch_id: UUID) -> BatchOut:
    return _batch(owned_batch(owner_of(request), batch_id))


@router.post(
    "/classify/files/{uuid:batch_id}/cancel", response=BatchOut, openapi_extra=also(409), summary="Cancel a file"
)
@in_thread
def cancel_classified_file(request: HttpRequest, batch_id: UUID) -> BatchOut:
    """What is classified is kept. 409 when it was over."""
    batch = owned_batch(owner_of(request), batch_id)
    if not batches.cancel(batch=batch):
        raise conflict("The file is over already.")
    return _batch(owned_batch(owner_of(request), batch_id))


@router.post(
    "/classify/files/{uuid:batch_id}/continue", response=BatchOut, openapi_extra=also(409), summary="Go on with a file"
)
@in_thread
def continue_classified_file(request: HttpRequest, batch_id: UUID) -> BatchOut:
    """One is stopped when the key by which it was sent has ended, or its owner may not send any more. The rest counts
    for the key in use. 409 when it was not stopped."""
    batch = owned_batch(owner_of(request), batch_id)
    check_model(key_of(request), batch.deployment)
    if not batches.go_on(batch=batch, key=key_of(request)):
        raise conflict("The file was not stopped.")
    return _batch(owned_batch(owner_of(request), batch_id))


@router.delete("/classify/files/{uuid:batch_id}", response={204: None}, summary="Delete a file")
@in_thread
def delete_classified_file(request: HttpRequest, batch_id: UUID) -> None:
    """With its texts and classes."""
    batches.delete(batch=owned_batch(owner_of(request), batch_id))


@router.get("/classify/files/{uuid:batch_id}/results/{kind}", openapi_extra=FILES, summary="Download classes")
@in_thread
def download_classes(request: HttpRequest, batch_id: UUID, kind: str) -> StreamingHttpResponse:
    """As `csv` or `jsonl`: every row that held a text, as far as it is classified."""
    return downloads.download(owned_batch(owner_of(request), batch_id), kind)
