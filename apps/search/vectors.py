"""The table of vectors: one partition an index, with an HNSW graph of its own.

Partitions are made and dropped whole, so that an old index leaves no dead rows behind and a small collection never
waits for a large one. Vectors have no fixed width in the parent; a partition's graph is over its own width.
"""

import base64
from collections.abc import Iterable, Sequence
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray
from pgvector import HalfVector

from apps.search.models import Index

Vector = NDArray[np.float32]
_GRAPH = "m = 16, ef_construction = 128"
_NODE = 1000  # bytes that a graph takes for a vector beside its numbers, while it is built


def from_answer(result: dict[str, object]) -> Vector:
    """[count, dimensions] of what a worker says."""
    content = np.frombuffer(base64.b64decode(str(result["embeddings"])), "<f4")
    return content.reshape(int(str(result["count"])), int(str(result["dimensions"]))).astype(np.float32)


def packed(vector: Vector) -> str:
    """As the cache keeps it, which takes JSON only."""
    return base64.b64encode(vector.tobytes()).decode()


def unpacked(text: str) -> Vector:
    return np.frombuffer(base64.b64decode(text), np.float32)


def text_of(vector: Vector) -> str:
    """As PostgreSQL reads a halfvec."""
    return HalfVector(vector).to_text()


def column(dimensions: int) -> str:
    """The expression that the graphs are over."""
    return f"v.embedding::halfvec({int(dimensions)})"


@transaction.atomic
def create_partition(index: Index) -> None:
    """Idempotent. Attached after it was made: that locks the table for no reader."""
    name = _partition(index)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0]:
            return
        check = f"CHECK (index_id = {index.pk}), CHECK (vector_dims(embedding) = {index.dimensions})"
        cursor.execute(f"CREATE TABLE {name} (LIKE search_vector INCLUDING DEFAULTS, {check})")
        cursor.execute(f"ALTER TABLE search_vector ATTACH PARTITION {name} FOR VALUES IN ({index.pk})")


@transaction.atomic
def create_graph(index: Index) -> None:
    """Idempotent. Of an empty partition at once; of a full one it takes about a second for 3,000 vectors."""
    name = _partition(index)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL maintenance_work_mem = '{_build_mb(index)}MB'")
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS {name}_hnsw ON {name} USING hnsw "
            f"((embedding::halfvec({index.dimensions})) halfvec_cosine_ops) WITH ({_GRAPH})"
        )


def _build_mb(index: Index) -> int:
    """What the whole graph takes: one that does not fit is built on disk, several times slower."""
    needed = count(index) * (2 * index.dimensions + _NODE) // 2**20
    return max(64, min(needed + 64, settings.SEARCH_BUILD_MB))


def drop_partition(index_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS search_vector_{int(index_id)}")


def analyze(index: Index) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {_partition(index)}")


def store(index: Index, rows: Iterable[tuple[UUID, Vector]]) -> None:
    """What is there already is replaced."""
    values = [(index.pk, picture_id, text_of(vector)) for picture_id, vector in rows]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO search_vector (index_id, picture_id, embedding) VALUES (%s, %s, %s::halfvec) "
            "ON CONFLICT (index_id, picture_id) DO UPDATE SET embedding = EXCLUDED.embedding",
            values,
        )


def forget(index_ids: Sequence[int], picture_ids: Sequence[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM search_vector WHERE index_id = ANY(%s) AND picture_id = ANY(%s)",
            [list(index_ids), list(picture_ids)],
        )


def count(index: Index) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM search_vector WHERE index_id = %s", [index.pk])
        return int(cursor.fetchone()[0])


def of_pictures(index: Index, picture_ids: Sequence[UUID]) -> dict[UUID, Vector]:
    """Those that the index has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT picture_id, embedding::text FROM search_vector WHERE index_id = %s AND picture_id = ANY(%s)",
            [index.pk, list(picture_ids)],
        )
        return {picture_id: _parsed(text) for picture_id, text in cursor.fetchall()}


def sample(index: Index, most: int) -> tuple[list[UUID], Vector]:
    """Some of its vectors, the same ones each time: ids are digests, so their order is chance."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT picture_id, embedding::text FROM search_vector WHERE index_id = %s ORDER BY picture_id LIMIT %s",
            [index.pk, most],
        )
        rows = cursor.fetchall()
    vectors = np.stack([_parsed(text) for _, text in rows]) if rows else np.zeros((0, index.dimensions), np.float32)
    return [picture_id for picture_id, _ in rows], vectors


def nearest(index: Index, vector: Vector, most: int, *, is_exact: bool = False) -> list[UUID]:
    """Ids of the nearest, by the graph as a search uses it, or by comparing with all."""
    with transaction.atomic(), connection.cursor() as cursor:
        prepare(cursor, most)
        if is_exact:
            cursor.execute("SET LOCAL enable_indexscan = off")
        cursor.execute(
            f"SELECT picture_id FROM search_vector v WHERE index_id = {index.pk} "
            f"ORDER BY {column(index.dimensions)} <=> %s::halfvec LIMIT %s",
            [text_of(vector), most],
        )
        return [row[0] for row in cursor.fetchall()]


def prepare(cursor: object, most: int) -> None:
    """For the transaction: how widely the graph is searched, and that it goes on until a filter has enough. Compiling a
    plan would take longer than running it."""
    width = min(max(100, 2 * most), 1000)
    cursor.execute(  # type: ignore[attr-defined]
        f"SET LOCAL hnsw.ef_search = {width}; SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL jit = off"
    )


def _partition(index: Index) -> str:
    return f"search_vector_{int(index.pk)}"


def _parsed(text: str) -> Vector:
    return np.fromstring(text[1:-1], np.float32, sep=",")
