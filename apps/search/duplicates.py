"""Pictures that are there more than once, by three meanings that are kept apart.

exact: the same file in several of one's collections (within one it is stored once). near: the same picture in another
size or quality, by perceptual hash and mean colour. similar: what the model takes for nearly the same.
"""

from collections import defaultdict
from uuid import UUID

from django.db import connection, transaction

from apps.accounts.models import User
from apps.search import vectors
from apps.search.models import Collection, Index, Picture
from apps.search.permissions import visible_collections

EXACT, NEAR, SIMILAR = "exact", "near", "similar"
KINDS = (EXACT, NEAR, SIMILAR)
MOST_GROUPS = 100
_BITS = 5  # of 64 that may differ
_SHADE = 16  # of 255, in each channel of the mean colour
_COSINE = 0.97
_LOOKED_AT = 500  # the newest pictures, each with its nearest

Group = list[Picture]

# Hashes that differ in at most 5 bits share one of six groups of bits: only those are compared.
_BANDS = [(0, 11), (11, 11), (22, 11), (33, 11), (44, 10), (54, 10)]
_NEAR = f"""
WITH hashes AS (
  SELECT id, phash, colour, added_at FROM search_picture WHERE collection_id = %(collection)s
), bands AS (
  SELECT h.id, h.phash, h.colour, b.n, (h.phash >> b.start) & ((1 << b.width) - 1) AS bits
  FROM hashes h CROSS JOIN (VALUES {", ".join(f"({n}, {start}, {width})" for n, (start, width) in enumerate(_BANDS))})
    b(n, start, width)
)
SELECT DISTINCT a.id, b.id FROM bands a JOIN bands b ON a.n = b.n AND a.bits = b.bits AND a.id < b.id
  AND abs((a.colour >> 16) - (b.colour >> 16)) <= {_SHADE}
  AND abs(((a.colour >> 8) & 255) - ((b.colour >> 8) & 255)) <= {_SHADE}
  AND abs((a.colour & 255) - (b.colour & 255)) <= {_SHADE}
WHERE bit_count((a.phash # b.phash)::bit(64)) <= {_BITS}
LIMIT 5000
"""


def groups(kind: str, collection: Collection, user: User) -> list[Group]:
    """The largest first; in each the picture that one would keep first: most pixels, then the oldest."""
    found = {EXACT: _exact, NEAR: _near, SIMILAR: _similar}[kind](collection, user)
    for group in found:
        group.sort(key=lambda one: (-one.width * one.height, one.added_at, one.pk))
    return sorted(found, key=lambda group: (-len(group), group[0].added_at))[:MOST_GROUPS]


def _exact(collection: Collection, user: User) -> list[Group]:
    mine = Picture.objects.filter(collection=collection).values("sha256")
    others = Picture.objects.filter(collection__in=visible_collections(user)).exclude(collection=collection)
    twice = others.filter(sha256__in=mine).order_by("-added_at").values_list("sha256", flat=True)[: 4 * MOST_GROUPS]
    rows = Picture.objects.filter(sha256__in=list(twice), collection__in=visible_collections(user))
    by_content: dict[str, Group] = defaultdict(list)
    for picture in rows.select_related("collection"):
        by_content[picture.sha256].append(picture)
    return list(by_content.values())


def _near(collection: Collection, user: User) -> list[Group]:
    with connection.cursor() as cursor:
        cursor.execute(_NEAR, {"collection": collection.pk})
        pairs = cursor.fetchall()
    return _joined(pairs)


def _similar(collection: Collection, user: User) -> list[Group]:
    index = collection.indexes.filter(state=Index.State.SERVING).first()
    if index is None:
        return []
    distance = f"{vectors.column(index.dimensions)} <=> n.embedding::halfvec({index.dimensions})"
    with transaction.atomic(), connection.cursor() as cursor:
        vectors.prepare(cursor, 5)
        cursor.execute(
            f"""SELECT n.picture_id, near.picture_id FROM (
              SELECT v.picture_id, v.embedding FROM search_vector v JOIN search_picture p ON p.id = v.picture_id
              WHERE v.index_id = {index.pk} ORDER BY p.added_at DESC LIMIT {_LOOKED_AT}) n
            CROSS JOIN LATERAL (
              SELECT v.picture_id, {distance} AS distance FROM search_vector v WHERE v.index_id = {index.pk}
              ORDER BY {distance} LIMIT 5) near
            WHERE near.picture_id <> n.picture_id AND near.distance <= {1 - _COSINE:.4f}"""
        )
        pairs = cursor.fetchall()
    return _joined(pairs)


def _joined(pairs: list[tuple[UUID, UUID]]) -> list[Group]:
    """Pictures that a chain of pairs connects."""
    leader: dict[UUID, UUID] = {}

    def lead(one: UUID) -> UUID:
        leader.setdefault(one, one)
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for left, right in pairs:
        leader[lead(left)] = lead(right)
    pictures = Picture.objects.select_related("collection").in_bulk(list(leader))
    by_leader: dict[UUID, Group] = defaultdict(list)
    for one in leader:
        if one in pictures:
            by_leader[lead(one)].append(pictures[one])
    return [group for group in by_leader.values() if len(group) > 1]
