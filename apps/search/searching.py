"""Finding: the parts of a query become one vector, and one SQL statement finds what is near, may be seen and fits."""

import base64
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.accounts.models import APIKey, User
from apps.quotas.words import NOT_NOW, why
from apps.search import asking, vectors
from apps.search.models import Collection, Index, Picture, QueryPicture
from apps.search.permissions import visible_collections, visible_pictures
from apps.search.query import PICTURE, SENT, WORDS, BadQuery, Part, Query

PAGE = 24
_RERANKED = 16  # the best of which a bridge judges each by itself
_NEAREST = 4
_FEW = 10_000  # pictures that are compared one by one: some 20 ms
_SORTED = 500  # the best of which are sorted by date
_BACKGROUND = 256  # pictures that stand for all others
# The cut that a search makes by itself: so many deviations above the median of what any picture has. Median and median
# deviation do not follow the few that are meant; the least deviation is for collections whose pictures are all alike.
_ABOVE, _LEAST = 2.0, 0.02
_REMEMBERED = 60.0  # seconds that the background of an index is kept

# Of what is filtered in SQL nothing is told to who may not see it: the rule of permissions.py, in the same statement.
_SEEN = """(c.owner_id = %(user)s OR EXISTS (
  SELECT 1 FROM accounts_membership m WHERE m.team_id = c.team_id AND m.user_id = %(user)s))"""


@dataclass(frozen=True, slots=True)
class Hit:
    picture: Picture
    score: float | None  # cosine; none where nothing was asked for
    match: float | None = None  # by the bridge: how likely picture and words belong together
    before: int = 0  # its place before it was reranked, from 1


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits. `following` is the cursor of the next, empty on the last."""

    hits: list[Hit]
    following: str = ""
    cut: float | None = None  # the score below which nothing is shown
    encode_ms: float = 0.0
    index_ms: float = 0.0
    rerank_ms: float = 0.0
    problem: str = ""  # why nothing was reranked
    is_cut: bool = False  # whether there was more, below the cut
    nearest: tuple[Hit, ...] = ()  # the first below the cut, where nothing is above it


@dataclass(frozen=True, slots=True)
class _Background:
    """How near any picture is to a query, by a sample of the index."""

    sample: vectors.Vector
    read_at: float = field(default_factory=time.monotonic)

    def cut(self, vector: vectors.Vector) -> float:
        if len(self.sample) < 8:
            return -1.0
        scores = self.sample @ vector
        middle = np.median(scores)
        deviation = 1.4826 * np.median(np.abs(scores - middle))
        return float(middle + _ABOVE * max(deviation, _LEAST))


_backgrounds: dict[int, _Background] = {}


class Search:
    """One query of somebody over a collection, and over others of theirs that were indexed with the same version.

    Raises BadQuery for parts that are not theirs to use; `page` raises what `asking` raises.
    """

    def __init__(self, *, collection: Collection, query: Query, user: User, key: APIKey | None = None) -> None:
        self.collection, self.query, self.user = collection, query, user
        self._who: User | APIKey = key or user
        self.index = collection.indexes.filter(state=Index.State.SERVING).select_related("version").get()
        self._indexes = [self.index, *self._others()]

    def page(self, cursor: str = "", most: int = PAGE) -> Found:
        began = time.perf_counter()
        vector = self.vector if self.query.parts else None
        encoded = time.perf_counter()
        found = self._browsed(cursor, most) if vector is None else self.nearest(vector, cursor, most)
        ended = time.perf_counter()
        found = replace(found, encode_ms=1000 * (encoded - began), index_ms=1000 * (ended - encoded))
        return found if cursor or not self.may_rerank or not self.query.is_reranked else self._reranked(found)

    @property
    def has_bridge(self) -> bool:
        return "bridge" in self.index.version.manifest

    @property
    def may_rerank(self) -> bool:
        """Whether there is a bridge, and words for it; by date nothing is reranked."""
        return self.has_bridge and bool(self.query.text) and self.query.order == "best"

    def _reranked(self, found: Found) -> Found:
        """The best few in the order of vectors and bridge together. Without, should that not be possible just now."""
        best, began = found.hits[:_RERANKED], time.perf_counter()
        try:
            matches = asking.matches(self.index, self.query.text, [hit.picture.thumbnail for hit in best], self._who)
        except (*NOT_NOW, asking.NotUnderstood, OSError) as error:
            return replace(found, problem=why(error) if isinstance(error, NOT_NOW) else str(error))
        # The bridge was trained to tell near misses apart: it adds to what the vectors say, and does not replace it.
        own = logits(self.index.version.manifest, np.array([hit.score for hit in best], float))
        judged = [
            replace(hit, match=asking.likelihood(float(logit)), before=place)
            for place, (hit, logit) in enumerate(zip(best, own + np.array(matches), strict=True), 1)
        ]
        judged.sort(key=lambda hit: -(hit.match or 0))
        hits = [*judged, *found.hits[_RERANKED:]]
        return replace(found, hits=hits, rerank_ms=1000 * (time.perf_counter() - began))

    @cached_property
    def vector(self) -> vectors.Vector:
        """The weighted sum of the parts, of length one."""
        total = np.sum([part.weight * vector for part, vector in self._terms], axis=0)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise BadQuery(_("part: the parts cancel each other out"))
        return np.asarray(total / length, np.float32)

    @cached_property
    def _terms(self) -> list[tuple[Part, vectors.Vector]]:
        """Each part with its vector, of length one."""
        by_kind = {kind: [one for one in self.query.parts if one.kind == kind] for kind in (WORDS, PICTURE, SENT)}
        return [pair for kind, parts in by_kind.items() if parts for pair in self._vectors_of(parts, kind)]

    def _vectors_of(self, parts: list[Part], kind: str) -> list[tuple[Part, vectors.Vector]]:
        if kind == WORDS:
            return list(zip(parts, asking.texts(self.index, [one.value for one in parts], self._who), strict=True))
        if kind == SENT:
            found = asking.images(self.index, [(self._sent(one), one.crop) for one in parts], self._who)
            return list(zip(parts, found, strict=True))
        whole = self._known([one for one in parts if not one.crop])
        cropped = [(self._thumbnail(one), one.crop) for one in parts if one.crop]
        cut = iter(asking.images(self.index, cropped, self._who) if cropped else [])
        return [(one, next(cut) if one.crop else whole[one.value]) for one in parts]

    def shares(self, picture: Picture) -> list[tuple[Part, float]]:
        """What each part adds to the picture's score; together they are the score. Empty while no index has it."""
        known = self._known_vectors([picture.pk]).get(picture.pk)
        if known is None:
            return []
        total = np.sum([part.weight * vector for part, vector in self._terms], axis=0)
        length = max(float(np.linalg.norm(total)), 1e-6)
        return [(part, part.weight * float(vector @ known) / length) for part, vector in self._terms]

    def _known(self, parts: list[Part]) -> dict[str, vectors.Vector]:
        """Vectors that an index has already, by id. One of a picture in another model's collection is asked for."""
        ids = [UUID(one.value) for one in parts]
        if not ids:
            return {}
        seen = {picture.pk: picture for picture in visible_pictures(self.user).filter(pk__in=ids)}
        if missing := [one for one in ids if one not in seen]:
            raise BadQuery(_("part: there is no picture %(id)s") % {"id": missing[0]})
        found = self._known_vectors(ids)
        unknown = [seen[one] for one in ids if one not in found]
        asked = asking.images(self.index, [(one.thumbnail, None) for one in unknown], self._who) if unknown else []
        found |= {picture.pk: vector for picture, vector in zip(unknown, asked, strict=True)}
        return {str(key): value for key, value in found.items()}

    def _known_vectors(self, ids: list[UUID]) -> dict[UUID, vectors.Vector]:
        found: dict[UUID, vectors.Vector] = {}
        for index in self._indexes:
            found |= vectors.of_pictures(index, ids)
        return found

    def _thumbnail(self, part: Part) -> str:
        picture = visible_pictures(self.user).filter(pk=part.value).first()
        if picture is None:
            raise BadQuery(_("part: there is no picture %(id)s") % {"id": part.value})
        return picture.thumbnail

    def _sent(self, part: Part) -> str:
        sent = QueryPicture.objects.filter(pk=part.value, owner=self.user).first()
        if sent is None or not sent.is_ready:
            raise BadQuery(_("part: the picture that was sent is not kept any more, or not read yet. Send it again."))
        return sent.thumbnail

    def _others(self) -> list[Index]:
        wanted = [one for one in self.query.collections if one != self.collection.pk]
        if not wanted:
            return []
        return list(
            Index.objects.filter(
                collection__in=visible_collections(self.user).filter(pk__in=wanted),
                state=Index.State.SERVING,
                version_id=self.index.version_id,
            )
        )

    # -- SQL ---------------------------------------------------------------------------------------

    def nearest(self, vector: vectors.Vector, cursor: str, most: int) -> Found:
        cut = self.query.cut if self.query.cut is not None else self._background.cut(vector)
        distance = f"{vectors.column(self.index.dimensions)} <=> %(vector)s::halfvec"
        where, values = self._filters()
        order = f"({distance}) + 0" if self._has_few(where, values) else distance
        values |= {"vector": vectors.text_of(vector), "cut": cut, "limit": most + 1}
        is_dated = self.query.order != "best"
        behind = ""
        if cursor and not is_dated:
            last, last_id = _read_cursor(cursor, float)
            behind = f"AND ({distance}, p.id) > (%(last)s, %(last_id)s)"
            values |= {"last": last, "last_id": last_id}
        best = f"""
            SELECT p.*, {distance} AS distance
            FROM search_vector v JOIN search_picture p ON p.id = v.picture_id
              JOIN search_collection c ON c.id = p.collection_id
            WHERE v.index_id IN ({", ".join(str(one.pk) for one in self._indexes)}) AND {where} {behind}
            ORDER BY {order}, p.id LIMIT {_SORTED if is_dated else "%(limit)s"}"""
        if is_dated:
            rows = self._rows(self._dated(best, cursor, values), values, _SORTED)
        else:
            rows = self._rows(f"SELECT * FROM ({best}) b ORDER BY distance, id", values, most)
        kept = [row for row in rows if 1 - row.distance >= cut]
        shown = kept[:most]
        following = ""
        if len(kept) > most:
            following = _cursor(_moment(shown[-1]) if is_dated else shown[-1].distance, shown[-1].pk)
        hits = [Hit(row, 1 - row.distance) for row in shown]
        below = [] if hits or is_dated else rows[:_NEAREST]
        nearest = tuple(Hit(row, 1 - row.distance) for row in below)
        return Found(hits, following, cut, is_cut=not is_dated and len(kept) < len(rows), nearest=nearest)

    def _has_few(self, where: str, values: dict[str, Any]) -> bool:
        """Whether so few pictures pass the filters that all of them are compared, as of the graph's neighbours too few
        would pass. An order that is not the graph's (+ 0) keeps it out of the plan."""
        if len(values) == 1:
            return False  # only who asks
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT count(*) FROM (SELECT FROM search_picture p
                  JOIN search_collection c ON c.id = p.collection_id
                WHERE p.collection_id = ANY(%(collections)s) AND {where} LIMIT {_FEW + 1}) f""",
                values | {"collections": [one.collection_id for one in self._indexes]},
            )
            return bool(cursor.fetchone()[0] <= _FEW)

    def _dated(self, best: str, cursor: str, values: dict[str, Any]) -> str:
        """The best above the cut by date."""
        sign, direction = ("<", "DESC") if self.query.order == "newest" else (">", "ASC")
        behind = ""
        if cursor:
            last, last_id = _read_cursor(cursor, datetime.fromisoformat)
            behind = f"AND (coalesce(taken_at, added_at), id) {sign} (%(last)s, %(last_id)s)"
            values |= {"last": last, "last_id": last_id}
        return f"""SELECT * FROM ({best}) b WHERE 1 - distance >= %(cut)s {behind}
            ORDER BY coalesce(taken_at, added_at) {direction}, id {direction} LIMIT %(limit)s"""

    def _browsed(self, cursor: str, most: int) -> Found:
        """Nothing is asked for: pictures that fit the filters by date."""
        is_oldest = self.query.order == "oldest"
        sign, direction = (">", "ASC") if is_oldest else ("<", "DESC")
        where, values = self._filters()
        values |= {"limit": most + 1, "collections": [one.collection_id for one in self._indexes]}
        behind = ""
        if cursor:
            last, last_id = _read_cursor(cursor, datetime.fromisoformat)
            behind = f"AND (p.added_at, p.id) {sign} (%(last)s, %(last_id)s)"
            values |= {"last": last, "last_id": last_id}
        rows = self._rows(
            f"""SELECT p.* FROM search_picture p JOIN search_collection c ON c.id = p.collection_id
            WHERE p.collection_id = ANY(%(collections)s) AND {where} {behind}
            ORDER BY p.added_at {direction}, p.id {direction} LIMIT %(limit)s""",
            values,
            most,
        )
        shown = rows[:most]
        following = _cursor(shown[-1].added_at.isoformat(), shown[-1].pk) if len(rows) > most else ""
        return Found([Hit(row, None) for row in shown], following)

    def _filters(self) -> tuple[str, dict[str, Any]]:
        """Conditions on p and c, and their values."""
        query = self.query
        filters: list[tuple[str, str, Any]] = [
            ("p.tags @> %(tags)s::varchar[]", "tags", list(query.tags)),
            ("p.kind = ANY(%(kinds)s)", "kinds", list(query.kinds)),
            ("coalesce(p.taken_at, p.added_at) >= %(since)s", "since", query.since),
            ("coalesce(p.taken_at, p.added_at) < %(until)s::date + 1", "until", query.until),
            ("least(p.width, p.height) >= %(smallest)s", "smallest", query.smallest),
            ("position(lower(%(name)s) in lower(p.name)) > 0", "name", query.name),
        ]
        used = [(sql, name, value) for sql, name, value in filters if value]
        values: dict[str, Any] = {"user": self.user.pk} | {name: value for _, name, value in used}
        return " AND ".join([_SEEN, *(sql for sql, _, _ in used)]), values

    def _rows(self, sql: str, values: dict[str, Any], most: int) -> list[Any]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                vectors.prepare(cursor, most)
            return list(Picture.objects.raw(sql, values))

    @property
    def _background(self) -> _Background:
        known = _backgrounds.get(self.index.pk)
        if known is None or time.monotonic() - known.read_at > _REMEMBERED:
            _, sample = vectors.sample(self.index, _BACKGROUND)
            known = _backgrounds[self.index.pk] = _Background(sample)
            if len(_backgrounds) > 256:
                del _backgrounds[next(iter(_backgrounds))]
        return known


def similar(picture: Picture, user: User, most: int = 12) -> list[Hit]:
    """Those of its collection that look most like it, without itself. Empty while it is in no index."""
    query = Query(parts=(Part(PICTURE, str(picture.pk)),), cut=-1.0)
    search = Search(collection=picture.collection, query=query, user=user)
    if not vectors.of_pictures(search.index, [picture.pk]):
        return []
    return [hit for hit in search.page(most=most + 1).hits if hit.picture.pk != picture.pk][:most]


def fitting_texts(picture: Picture, most: int = 10) -> list[tuple[Any, float]]:
    """Lines of its collection's catalogue that fit the picture best, each with its score."""
    from apps.search.models import CatalogueText

    index = picture.collection.indexes.get(state=Index.State.SERVING)
    known = vectors.of_pictures(index, [picture.pk])
    if not known:
        return []
    rows = CatalogueText.objects.raw(
        "SELECT t.*, 1 - (v.embedding <=> %s::halfvec) AS score FROM search_textvector v "
        "JOIN search_cataloguetext t ON t.id = v.text_id WHERE v.index_id = %s ORDER BY score DESC, t.id LIMIT %s",
        [vectors.text_of(known[picture.pk]), index.pk, most],
    )
    return [(row, row.score) for row in rows]


def fitting_labels(picture: Picture, labels: Iterable[str], who: User | APIKey) -> list[tuple[str, float, float]]:
    """Labels with probability and cosine, the best first: zero-shot classification. Raises what `asking` raises."""
    index = picture.collection.indexes.select_related("version").get(state=Index.State.SERVING)
    names = list(dict.fromkeys(labels))
    known = vectors.of_pictures(index, [picture.pk])
    own = known.get(picture.pk)
    if own is None:
        [own] = asking.images(index, [(picture.thumbnail, None)], who)
    cosines = np.array([float(own @ one) for one in asking.texts(index, names, who)])
    shares = _shares(cosines, index.version.manifest)
    return sorted(zip(names, shares.tolist(), cosines.tolist(), strict=True), key=lambda row: -row[1])


def logits(manifest: dict[str, Any], cosines: Any) -> Any:
    """What cosines are as logits of belonging together."""
    return float(manifest.get("logit_scale", 1.0)) * cosines + float(manifest.get("logit_bias", 0.0))


def _shares(cosines: vectors.Vector, manifest: dict[str, Any]) -> vectors.Vector:
    """A model with a bias (SigLIP) judges each label by itself; of others the labels compete."""
    found = logits(manifest, cosines)
    if manifest.get("logit_bias"):
        return 1 / (1 + np.exp(-found))
    shares = np.exp(found - found.max())
    return shares / shares.sum()


def _moment(row: Any) -> str:
    return (row.taken_at or row.added_at).isoformat()


def _cursor(value: Any, key: UUID) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, key.hex]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, kind: Any) -> tuple[Any, UUID]:
    """Raises BadQuery."""
    try:
        value, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return kind(value), UUID(key)
    except (ValueError, TypeError) as error:
        raise BadQuery(_("cursor: is not of this search")) from error
