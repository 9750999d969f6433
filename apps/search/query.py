"""A query as it stands in an address: parts with weights, filters, order. Reading it and writing it again."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _

WORDS, PICTURE, SENT = "words", "picture", "sent"  # what somebody writes, a picture of a collection, one that is sent
KINDS = ("jpeg", "png", "webp", "gif", "avif", "heic", "bmp", "tiff")
ORDERS = ("best", "newest", "oldest")
MOST_PARTS = 8
MOST_CHARS = 400
_MINUS = 0.6
_MINUS_WORD = re.compile(r"(?:^|\s)[-−－](?=[^\s\d])(\"[^\"]+\"|\S+)")


class BadQuery(ValueError):
    """`field: reason`."""


@dataclass(frozen=True, slots=True)
class Part:
    """One term of the sum. A negative weight is a minus term."""

    kind: str
    value: str  # words, or the id of a picture
    weight: float = 1.0
    crop: tuple[float, float, float, float] | None = None

    @property
    def is_minus(self) -> bool:
        return self.weight < 0

    @property
    def strength(self) -> float:
        return abs(self.weight)

    def __str__(self) -> str:
        crop = "@" + ",".join(f"{one:g}" for one in self.crop) if self.crop else ""
        return f"{self.kind}{crop}:{self.weight:g}:{self.value}"


@dataclass(frozen=True, slots=True)
class Query:
    """`cut` is the lowest score that is shown; None leaves it to the search, -1 shows all."""

    parts: tuple[Part, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    smallest: int = 0  # pixels of the shorter side
    name: str = ""
    cut: float | None = None
    order: str = "best"
    collections: tuple[UUID, ...] = field(default=())  # beside the one that is open
    is_reranked: bool = True  # the best of them once more by the bridge, where the model has one

    @property
    def words(self) -> str:
        """Of the first part with words: what stands in the field."""
        return next((one.value for one in self.parts if one.kind == WORDS and not one.is_minus), "")

    @property
    def text(self) -> str:
        """All words that are wanted."""
        return " ".join(one.value for one in self.parts if one.kind == WORDS and not one.is_minus)

    @property
    def others(self) -> list[Part]:
        """Parts beside the one in the field."""
        first = next((one for one in self.parts if one.kind == WORDS and not one.is_minus), None)
        return [one for one in self.parts if one is not first]

    @property
    def words_weight(self) -> float:
        return next((one.weight for one in self.parts if one.kind == WORDS and not one.is_minus), 1.0)

    @property
    def has_filters(self) -> bool:
        return bool(self.tags or self.kinds or self.since or self.until or self.smallest or self.name)

    def written(self) -> str:
        """As it stands in an address; equal queries are written equally."""
        told = QueryDict(mutable=True)
        told.setlist("part", [str(one) for one in self.parts])
        told.setlist("tag", list(self.tags))
        told.setlist("kind", list(self.kinds))
        told.setlist("in", [str(one) for one in self.collections])
        single = {
            "since": self.since, "until": self.until, "smallest": self.smallest or None, "name": self.name or None,
            "cut": f"{self.cut:g}" if self.cut is not None else None,
            "order": self.order if self.order != "best" else None,
            "rerank": None if self.is_reranked else "off",
        }  # fmt: skip
        for key, value in single.items():
            if value is not None:
                told[key] = str(value)
        return told.urlencode(safe=":,@")

    def with_parts(self, parts: Iterable[Part]) -> "Query":
        return replace(self, parts=tuple(parts))


def read(data: QueryDict) -> Query:
    """From an address or a form. `q` is what stands in the field, with its own minus words; `q_weight` its weight.
    Raises BadQuery."""
    parts = _field_parts(data.get("q", ""), _number(data, "q_weight", 1.0, 0, 2) or 1.0)
    parts += [_part(one) for one in data.getlist("part")]
    if minus := data.get("minus", "").strip():
        parts.append(Part(WORDS, minus[:MOST_CHARS], -_MINUS))
    parts = list(dict.fromkeys(one for one in parts if one.weight))
    if len(parts) > MOST_PARTS:
        raise BadQuery(_("part: at most %(n)s parts") % {"n": MOST_PARTS})
    order = data.get("order", "best")
    if order not in ORDERS:
        raise BadQuery(_("order: is one of %(names)s") % {"names": ", ".join(ORDERS)})
    kinds = tuple(dict.fromkeys(one for one in data.getlist("kind") if one))
    if unknown := set(kinds) - set(KINDS):
        raise BadQuery(_("kind: %(name)s is not known") % {"name": sorted(unknown)[0][:40]})
    return Query(
        parts=tuple(parts),
        tags=tuple(dict.fromkeys(one.strip()[:40] for one in data.getlist("tag") if one.strip()))[:8],
        kinds=kinds,
        since=_date(data, "since"),
        until=_date(data, "until"),
        smallest=int(_number(data, "smallest", 0, 0, 100_000) or 0),
        name=data.get("name", "").strip()[:80],
        cut=_number(data, "cut", None, -1, 1),
        order=order,
        is_reranked=data.get("rerank") != "off",
        collections=tuple(dict.fromkeys(_uuid(one, "in") for one in data.getlist("in") if one))[:20],
    )


def _field_parts(text: str, weight: float) -> list[Part]:
    """`canvas bag -leather`: what is behind a minus sign is a term of its own."""
    minus = [found.strip('"') for found in _MINUS_WORD.findall(text)]
    words = " ".join(_MINUS_WORD.sub(" ", text).split())
    parts = [Part(WORDS, words[:MOST_CHARS], weight)] if words else []
    return parts + [Part(WORDS, one[:MOST_CHARS], -_MINUS) for one in minus]


def _part(text: str) -> Part:
    head, _colon, rest = text.partition(":")
    weight, _colon, value = rest.partition(":")
    kind, at, crop = head.partition("@")
    if kind not in (WORDS, PICTURE, SENT) or not value.strip():
        raise BadQuery(_("part: is not kind:weight:value"))
    if kind != WORDS:
        value = str(_uuid(value, "part"))
    return Part(kind, value.strip()[:MOST_CHARS], _weight(weight), _crop(crop) if at and kind != WORDS else None)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = float("nan")
    if not -2 <= weight <= 2:
        raise BadQuery(_("part: its weight is between -2 and 2"))
    return round(weight, 3)


def _crop(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (round(float(one), 4) for one in text.split(","))
    except ValueError:
        left = top = right = bottom = 0.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadQuery(_("part: the crop is left, top, right and bottom between 0 and 1"))
    return left, top, right, bottom


def _number(data: Any, name: str, default: float | None, low: float, high: float) -> float | None:
    said = data.get(name, "").strip()
    if not said:
        return default
    try:
        value = float(said)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BadQuery(_("%(name)s: is between %(low)s and %(high)s") % {"name": name, "low": low, "high": high})
    return value


def _date(data: Any, name: str) -> date | None:
    said = data.get(name, "").strip()
    try:
        return date.fromisoformat(said) if said else None
    except ValueError as error:
        raise BadQuery(_("%(name)s: is a date like 2026-11-30") % {"name": name}) from error


def _uuid(text: str, name: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError as error:
        raise BadQuery(_("%(name)s: is the id of none") % {"name": name}) from error
