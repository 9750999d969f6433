"""The one form of a list: {"data": [...], "next": cursor or null}. A page costs the same however deep it lies."""

import base64
import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from ninja import Field, Schema

from apps.api.errors import APIError

Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)
MOST = 100


class Page(Schema, Generic[Item]):
    data: list[Item]
    next: str | None = Field(description="The cursor of the page behind this one; null on the last.")


class Paging(Schema):
    limit: int = Field(50, ge=1, le=MOST, description="How many at most.")
    cursor: str = Field("", max_length=500, description="`next` of the page before.")


def page_of(
    rows: QuerySet[Row], order: tuple[str, ...], paging: Paging, present: Callable[[Row], Item]
) -> dict[str, Any]:
    """A page in `order`: names of fields, all of one direction, the last one unique. Raises APIError for a cursor that
    is none."""
    found, following = slice_of(rows, order, paging)
    return {"data": [present(row) for row in found], "next": following}


def slice_of(rows: QuerySet[Row], order: tuple[str, ...], paging: Paging) -> tuple[list[Row], str | None]:
    """The rows of a page and the cursor behind them."""
    if paging.cursor:
        rows = rows.filter(_behind(order, _read(rows.model, order, paging.cursor)))
    found = list(rows.order_by(*order)[: paging.limit + 1])
    shown = found[: paging.limit]
    return shown, _cursor(shown[-1], order) if len(found) > len(shown) else None


def bad_cursor() -> APIError:
    return APIError(400, "cursor: is not of this list", kind="invalid_request_error", param="cursor")


def _names(order: tuple[str, ...]) -> list[str]:
    return [name.removeprefix("-") for name in order]


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def _cursor(row: Model, order: tuple[str, ...]) -> str:
    values = [_field(type(row), name).value_to_string(row) for name in _names(order)]
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(model: type[Model], order: tuple[str, ...], cursor: str) -> list[Any]:
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = [_text(value) for value in said] if isinstance(said, list) else []
        return [_field(model, name).to_python(value) for name, value in zip(_names(order), values, strict=True)]
    except (ValueError, TypeError, ValidationError) as error:
        raise bad_cursor() from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("cursors hold texts")
    return value


def _behind(order: tuple[str, ...], values: list[Any]) -> Q:
    """Rows that come later: equal in the first fields, behind in the next."""
    comparison = "lt" if order[0].startswith("-") else "gt"
    found, equal = Q(), Q()
    for name, value in zip(_names(order), values, strict=True):
        found |= equal & Q(**{f"{name}__{comparison}": value})
        equal &= Q(**{name: value})
    return found
