"""Models and their versions, for administrators."""

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Field, File, Form, Query, Router, Schema
from ninja.files import UploadedFile

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.errors import conflict
from apps.api.native.bodies import Body
from apps.api.native.jobs import JobOut, job_out
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, who
from apps.api.site import also
from apps.console import adapters, inventory
from apps.console.permissions import known_model, known_version
from apps.registry import services
from apps.registry.adapting import receive, start_adaptation
from apps.registry.models import Model, ModelVersion
from apps.registry.training import MOST_PROCESSES, MOST_SEED, start_training
from apps.registry.uploads import import_upload
from contracts.adaptation import BOUNDS, Settings

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Models"])
NAME = r"^[a-z0-9][a-z0-9_-]{0,79}$"
Task = Literal["auto", "text-generation", "text-classification", "feature-extraction", "zero-shot-image-classification"]
Precision = Literal["auto", "fp32", "fp16", "int8", "int4"]


ZIP = {"responses": {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}}


def _number(name: str, description: str = "") -> Any:
    """Of contracts.adaptation."""
    least, most = BOUNDS[name]
    return Field(getattr(Settings(), name), ge=least, le=most, description=description)


class VersionOut(Schema):
    number: int
    digest: str = Field(description="sha256 of the manifest.")
    is_used: bool = Field(description="A deployment has or had it: it cannot be deleted.")
    created_at: datetime


class ModelOut(Schema):
    name: str
    title: str
    task: str
    licence: str
    created_at: datetime
    versions: list[VersionOut] = Field(description="The newest first.")


class VersionWithCard(VersionOut):
    name: str
    title: str
    task: str
    licence: str
    manifest: dict[str, Any] = Field(description="The card: where it comes from, how it was made, what was measured.")
    used_by: list[str] = Field(description="Deployments that have or had it.")


class FileOut(Schema):
    name: str
    sha256: str
    size: int = Field(description="Bytes; 0 where the manifest does not say.")


class ImportSettings(Body):
    name: str = Field(pattern=NAME, description="The model it becomes a version of.")
    title: str = Field("", max_length=120)
    task: Task = "auto"
    precision: Precision = "auto"


class ImportIn(ImportSettings):
    source: str = Field(min_length=1, max_length=500, description="A file or folder below the server's IMPORT_ROOTS.")


class MeshIn(Body):
    dp: int = Field(1, ge=1, le=MOST_PROCESSES, description="Copies of the model.")
    pp: int = Field(1, ge=1, le=MOST_PROCESSES, description="Stages of its layers.")
    ep: int = Field(1, ge=1, le=MOST_PROCESSES, description="Parts of its experts.")
    micro_batches: int = Field(1, ge=1, le=1024)


class TrainingIn(Body):
    recipe: str = Field(max_length=80, description="Such as v1.sst2.")
    name: str = Field(pattern=NAME, description="The model it becomes a version of.")
    title: str = Field("", max_length=120)
    seed: int = Field(0, ge=0, le=MOST_SEED)
    precision: Literal["auto", "int8", "fp32"] = Field("auto", description="auto is the recipe's.")
    mesh: MeshIn | None = Field(None, description="Several processes, for mixtures of experts; else one.")


class AdaptationIn(Body):
    base: str = Field(pattern=NAME, description="The model whose original is trained.")
    version: int = Field(ge=1, description="Of the base.")
    name: str = Field(pattern=NAME, description="The model it becomes a version of.")
    title: str = Field("", max_length=120)
    precision: Literal["auto", "int4", "int8", "fp16", "fp32"] = Field("auto", description="auto is the base's.")
    rank: int = _number("rank")
    alpha: int = _number("alpha", "The ranks count alpha / rank times.")
    learning_rate: float = _number("learning_rate")
    epochs: int = _number("epochs")
    batch_size: int = _number("batch_size")
    longest: int = _number("longest", "Tokens of a conversation; longer ones are left out.")
    seed: int = _number("seed")


def _version(version: ModelVersion, used: set[int]) -> dict[str, Any]:
    names = ("number", "digest", "created_at")
    return {**{name: getattr(version, name) for name in names}, "is_used": version.pk in used}


def _model(model: Model, used: set[int]) -> ModelOut:
    names = ("name", "title", "task", "licence", "created_at")
    versions = [VersionOut(**_version(one, used)) for one in model.versions.all()]
    return ModelOut(**{name: getattr(model, name) for name in names}, versions=versions)


@router.get("/models", response=Page[ModelOut], summary="List models")
@in_thread
def list_registered_models(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """By name, with their versions."""
    used = inventory.used_versions()
    return page_of(inventory.models(), ("name",), paging, lambda model: _model(model, used))


@router.get("/models/{slug:name}", response=ModelOut, summary="Read a model")
@in_thread
def get_registered_model(request: HttpRequest, name: str) -> ModelOut:
    return _model(known_model(name), inventory.used_versions())


@router.get("/models/{slug:name}/versions/{int:number}", response=VersionWithCard, summary="Read a model's card")
@in_thread
def get_version(request: HttpRequest, name: str, number: int) -> VersionWithCard:
    found = known_version(name, number)
    used_by = inventory.uses_of(found)
    told = {each: getattr(found.model, each) for each in ("name", "title", "task", "licence")}
    values = _version(found, {found.pk} if used_by else set())
    return VersionWithCard(**values, **told, manifest=found.manifest, used_by=used_by)


@router.get("/models/{slug:name}/versions/{int:number}/files", response=Page[FileOut], summary="List a version's files")
@in_thread
def list_files(request: HttpRequest, name: str, number: int) -> dict[str, Any]:
    """All of them, as the manifest lists them: there is one page."""
    files = inventory.files_of(known_version(name, number))
    return {"data": [{"name": one.name, "sha256": one.sha256, "size": one.size} for one in files], "next": None}


@router.delete(
    "/models/{slug:name}/versions/{int:number}",
    response={204: None},
    openapi_extra=also(409),
    summary="Delete a version",
)
@in_thread
def delete_version(request: HttpRequest, name: str, number: int) -> None:
    """With its files. 409 while a deployment has or had it."""
    try:
        services.delete_version(version=known_version(name, number), **who(request))
    except services.VersionInUse as error:
        raise conflict(str(error)) from error


@router.post("/imports", response={201: JobOut}, openapi_extra=also(429), summary="Import a model")
@creating
def create_import(request: HttpRequest, payload: ImportIn) -> JobOut:
    """Starts a job; the version is registered when it has succeeded."""
    return job_out(services.start_import(**payload.model_dump(), **who(request)))


@router.post("/imports/upload", response={201: JobOut}, openapi_extra=also(429), summary="Upload and import a model")
@in_thread
def upload_import(request: HttpRequest, payload: Form[ImportSettings], upload: File[UploadedFile]) -> JobOut:
    """A GGUF file or a ZIP of the model's folder, as multipart/form-data."""
    return job_out(import_upload(upload=upload, **payload.model_dump(), **who(request)))


@router.post("/trainings", response={201: JobOut}, summary="Train a model")
@creating
def create_training(request: HttpRequest, payload: TrainingIn) -> JobOut:
    """Starts a job; the version is registered when it has succeeded. Tried again, it goes on from its checkpoint."""
    return job_out(start_training(**payload.model_dump(), **who(request)))


@router.post("/adaptations", response={201: JobOut}, openapi_extra=also(404, 429), summary="Adapt a chat model")
@in_thread
def create_adaptation(request: HttpRequest, payload: Form[AdaptationIn], upload: File[UploadedFile]) -> JobOut:
    """To a JSONL file of conversations, as multipart/form-data. Starts a job, as a training does. Lines that cannot be
    learned from are left out; the job's log names them."""
    given = payload.model_dump()
    how = Settings(**{name: given.pop(name) for name in BOUNDS})
    base = known_version(given.pop("base"), given.pop("version")).pk
    data = receive(upload=upload).sha256
    return job_out(start_adaptation(base=base, data=data, how=how, **given, **who(request)))


@router.get("/models/{slug:name}/versions/{int:number}/adapter", openapi_extra=ZIP, summary="Download an adapter")
@in_thread
def get_adapter(request: HttpRequest, name: str, number: int) -> StreamingHttpResponse:
    """What LoRA has added to the base, in peft's format. 404 for versions that were not adapted."""
    return adapters.download(known_version(name, number))
