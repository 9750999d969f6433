"""Readings of an asset on their way in."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.accounts.models import Scope
from apps.anomaly import ingest, parsing
from apps.anomaly.permissions import worked_asset
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
