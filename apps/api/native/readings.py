"""Readings of an asset on their way in."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, File, Form, Query, Router, Schema
from ninja.files import UploadedFile

from apps.accounts.models import Scope
from apps.anomaly import ingest, parsing, presenting, series, spans, uploads
from apps.anomaly.models import Upload
from apps.anomaly.permissions import visible_asset, visible_upload, worked_asset, worked_upload
from apps.anomaly.points import seconds
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body
from apps.api.native.running import in_thread, owner_of
from apps.api.site import also

router = Router(auth=KeyAuth(Scope.ANOMALY), tags=["Readings"])
_TIME: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]}
_ROW: dict[str, Any] = {
    "type": "object",
    "properties": {"sensor": {"type": "string"}, "time": _TIME, "value": {"type": "number"}},
    "required": ["sensor", "time", "value"],
}
_ROWS = {"items": _ROW, "type": "array"}
_PAIRS = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "array"}}}


class ReadingsIn(Body):
    # Not a schema of their own: what is wrong with one of them must not refuse the others.
    readings: Annotated[list[Any], Field(json_schema_extra=_ROWS)] = Field(
        [], max_length=parsing.MOST, description="Times are seconds since the epoch, or ISO 8601 (UTC without a zone)."
    )
    series: Annotated[dict[str, Any], Field(json_schema_extra=_PAIRS)] = Field(
        {}, max_length=parsing.MOST, description="The same in less space: [time, value] pairs by the sensors' keys."
    )
    create_sensors: bool = Field(False, description="Make sensors of keys that the asset does not know.")


class RejectedOut(Schema):
    place: str = Field(description="As in the body: readings.3, series.speed.0.")
    reason: str


class TakenOut(Schema):
    stored: int
    known: int = Field(description="Were there already, by sensor and time; nothing of them was changed.")
    rejected: int
    errors: list[RejectedOut] = Field(description="The first hundred that were rejected.")


@router.post(
    "/anomaly/assets/{uuid:asset_id}/readings", response=TakenOut, openapi_extra=also(404, 429),
    summary="Send readings",
)  # fmt: skip
@in_thread
def send_readings(request: HttpRequest, asset_id: UUID, payload: ReadingsIn) -> TakenOut:
    """Up to 20,000 at once, in whichever order; the body may be gzip (`Content-Encoding`). A reading is known by its
    sensor and time: to send it again is safe, also after an answer that was lost. What is wrong with some of them
    keeps none of the others from being stored."""
    asset = worked_asset(owner_of(request), asset_id)
    found = ingest.take(asset=asset, readings=payload.readings, series=payload.series,
                        makes_sensors=payload.create_sensors)  # fmt: skip
    errors = [RejectedOut(place=place, reason=reason) for place, reason in found.errors[:100]]
    return TakenOut(stored=found.stored, known=found.known, rejected=found.rejected, errors=errors)


class SpanIn(Schema):
    sensors: str = Field("", max_length=20_000, description="Ids with commas between them; without them all.")
    begin: str = Field("", max_length=40, description="ISO 8601 or seconds; without it a day before the end.")
    end: str = Field("", max_length=40, description="Without it the newest reading.")
    points: int = Field(2000, ge=10, le=spans.MOST_POINTS, description="Of each sensor, at most.")


class SeriesOut(Schema):
    id: int
    key: str
    name: str
    unit: str
    interval: float | None
    level: int = Field(description="0: readings one by one; else the extremes of so many seconds.")
    count: int = Field(description="Readings in the span.")
    times: list[float]
    values: list[float | None] = Field(description="null is a gap.")


class SeriesAnswer(Schema):
    begin: float
    end: float
    sensors: list[SeriesOut]


class ReadingsUploadIn(Body):
    asset: UUID


class ReadingsUploadOut(Schema):
    id: UUID
    name: str
    state: str = Field(description="waiting, ready, reading, done, failed, cancelled")
    error: str
    rows: int = Field(description="That were taken in.")
    total: int | None
    stored: int
    known: int
    failed: int = Field(description="Cells that are no reading.")
    problems: list[list[Any]] = Field(description="[row, column, reason] of the first hundred.")
    look: dict[str, Any] | None = Field(description="Columns and first rows, once it was looked at.")
    mapping: dict[str, Any] = Field(description="The guess; then what was confirmed.")


class MappingIn(Body):
    mapping: dict[str, Any] = Field(description="As `mapping` of the upload, with what is to be otherwise.")


def _upload(row: Upload) -> ReadingsUploadOut:
    return ReadingsUploadOut(**presenting.upload(row))


@router.get(
    "/anomaly/assets/{uuid:asset_id}/series", response=SeriesAnswer, openapi_extra=also(400), summary="Read series"
)
@in_thread
def get_series(request: HttpRequest, asset_id: UUID, asked: Query[SpanIn]) -> SeriesAnswer:
    """At most so many points of each sensor, with the extremes; readings that were sent, never averages."""
    asset = visible_asset(owner_of(request), asset_id)
    begin, end = spans.span(asked.dict(include={"begin", "end"}), spans.newest(asset))
    found = []
    for one in spans.sensors(asset, asked.sensors):
        drawn = series.drawn(series.READINGS, one.pk, begin, end, points=asked.points, interval=one.interval)
        found.append(SeriesOut(**presenting.sensor_head(one), **drawn.as_json()))
    return SeriesAnswer(begin=seconds(begin), end=seconds(end), sensors=found)


@router.post(
    "/anomaly/uploads", response={201: ReadingsUploadOut}, openapi_extra=also(404), summary="Upload a file of readings"
)
@in_thread
def upload_readings(
    request: HttpRequest, payload: Form[ReadingsUploadIn], file: File[UploadedFile]
) -> ReadingsUploadOut:
    """CSV or Parquet. It is looked at first: read the upload until its state is ready, then say how it is read."""
    owner = owner_of(request)
    return _upload(uploads.receive(asset=worked_asset(owner, payload.asset), owner=owner, file=file))


@router.get(
    "/anomaly/uploads/{uuid:readings_upload_id}", response=ReadingsUploadOut, summary="Read an upload of readings"
)
@in_thread
def get_readings_upload(request: HttpRequest, readings_upload_id: UUID) -> ReadingsUploadOut:
    return _upload(visible_upload(owner_of(request), readings_upload_id))


@router.post(
    "/anomaly/uploads/{uuid:readings_upload_id}/read",
    response={202: ReadingsUploadOut},
    summary="Take a file of readings in",
)
@in_thread
def read_readings_upload(request: HttpRequest, readings_upload_id: UUID, payload: MappingIn) -> ReadingsUploadOut:
    return _upload(uploads.begin(upload=worked_upload(owner_of(request), readings_upload_id), mapping=payload.mapping))


@router.post(
    "/anomaly/uploads/{uuid:readings_upload_id}/cancel", response={202: ReadingsUploadOut},
    summary="Cancel an upload of readings",
)  # fmt: skip
@in_thread
def cancel_readings_upload(request: HttpRequest, readings_upload_id: UUID) -> ReadingsUploadOut:
    """What was taken in stays."""
    found = worked_upload(owner_of(request), readings_upload_id)
    uploads.cancel(upload=found)
    return _upload(found)
