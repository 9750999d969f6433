"""How well and how fast vectors are found, alone and in a share of them.

python -m benchmarks.vector_search                      10k, 100k and 500k vectors, about 25 minutes
python -m benchmarks.vector_search --sizes 10000        one size; the others keep their figures

Vectors are 384 wide and clustered, as those of pictures are: centres of a mixture, each with a spread of its own, and
queries of the same mixture. Ours is measured as the site asks: one SQL statement with the rule who may see, through
Django, over one partition with a graph of its own. `filtered` is the same in a collection where one team's pictures are
one in a hundred: its pictures are a collection of their own (`own`, how the site keeps them), or a tag among all
(`tag`). Beside it, where they are installed: numpy (exact), usearch and milvus-lite, in the process, without any rule.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.environment import commit, environment
from deepseek_web.launch.embedded import embedded

RESULT = Path(__file__).parent / "results" / "vector_search.json"
WIDTH, QUERIES, TOP = 384, 200, 10
SHARE = 100  # one in so many is the team's
BATCH = 5000


def clustered(count: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors around centres; small clusters are as many as large ones."""
    centres = rng.normal(size=(max(16, min(2000, count // 50)), WIDTH)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    spread = rng.uniform(0.3, 1.0, len(centres)).astype(np.float32)[:, None]
    chosen = rng.integers(len(centres), size=count)
    rows = centres[chosen] + spread[chosen] * rng.normal(size=(count, WIDTH)).astype(np.float32) / WIDTH**0.5
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def exact(rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Places of the nearest, [queries, TOP]."""
    found = []
    for query in queries:
        scores = rows @ query
        best = np.argpartition(-scores, TOP)[:TOP]
        found.append(best[np.argsort(-scores[best])])
    return np.array(found)


def timed(ask: Callable[[np.ndarray], list[int]], queries: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Recall at 10, median and 95th percentile of a query in milliseconds; a tenth of the queries warms up."""
    for query in queries[: len(queries) // 10]:
        ask(query)
    times, shares = [], []
    for query, right in zip(queries, wanted, strict=True):
        began = time.perf_counter()
        found = ask(query)
        times.append(1000 * (time.perf_counter() - began))
        shares.append(len(set(found) & set(right.tolist())) / len(right))
    return {
        "recall_at_10": round(float(np.mean(shares)), 4),
        "p50_ms": round(float(np.percentile(times, 50)), 3),
        "p95_ms": round(float(np.percentile(times, 95)), 3),
    }


# -- ours ------------------------------------------------------------------------------------------


def ours(rows: np.ndarray, queries: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    from apps.search import vectors
    from apps.search.query import Query

    owner, index = _collection("All")
    began = time.perf_counter()
    _fill(index, rows, tags=True)
    stored = time.perf_counter()
    vectors.create_graph(index)
    built = time.perf_counter()
    vectors.analyze(index)
    measured: dict[str, Any] = {
        "ingest_per_s": round(len(rows) / (built - began)),
        "store_s": round(stored - began, 1),
        "build_s": round(built - stored, 1),
        **timed(_search(owner, index, Query(cut=-1.0)), queries, wanted),
    }
    some = np.arange(0, len(rows), SHARE)
    theirs = some[exact(rows[some], queries)]
    measured["filtered_tag"] = timed(_search(owner, index, Query(tags=("team",), cut=-1.0)), queries, theirs)
    owner, small = _collection("Team")
    vectors.create_graph(small)
    began = time.perf_counter()
    _fill(small, rows[some], offset=len(rows))
    measured["grow_per_s"] = round(len(some) / (time.perf_counter() - began))
    own = _search(owner, small, Query(cut=-1.0))
    measured["filtered_own"] = timed(lambda query: [SHARE * one for one in own(query)], queries, theirs)
    measured["filtered_ratio"] = round(measured["filtered_own"]["p95_ms"] / measured["p95_ms"], 2)
    measured["filtered_tag_ratio"] = round(measured["filtered_tag"]["p95_ms"] / measured["p95_ms"], 2)
    return measured


def _collection(name: str) -> tuple[Any, Any]:
    from apps.accounts.models import User
    from apps.registry.models import Model, ModelVersion
    from apps.search import vectors
    from apps.search.models import Collection, Index

    owner, _ = User.objects.get_or_create(email="benchmark@example.com")
    model, _ = Model.objects.get_or_create(name="seer", defaults={"task": "zero-shot-image-classification"})
    values = {"artifact": "seer", "digest": "s" * 64, "manifest": {"dimensions": WIDTH}}
    version, _ = ModelVersion.objects.get_or_create(model=model, number=1, defaults=values)
    collection = Collection.objects.create(owner=owner, name=name)
    index = Index.objects.create(
        collection=collection, deployment="seer", version=version, dimensions=WIDTH, state=Index.State.SERVING
    )
    vectors.create_partition(index)
    return owner, index


def _fill(index: Any, rows: np.ndarray, *, offset: int = 0, tags: bool = False) -> None:
    """Pictures and vectors, by COPY; the id says which row it is."""
    from django.db import connection

    from apps.search import vectors

    names = "id, collection_id, sha256, phash, colour, name, kind, width, height, bytes, file, thumbnail, caption, tags"
    with connection.cursor() as cursor:
        for start in range(0, len(rows), BATCH):
            places = range(start, min(start + BATCH, len(rows)))
            with cursor.copy(f"COPY search_picture ({names}, added_at, held_as) FROM STDIN") as copy:
                for n in places:
                    tag = "{team}" if tags and n % SHARE == 0 else "{}"
                    copy.write_row(
                        (UUID(int=offset + n), index.collection_id, f"{offset + n:064x}", 0, 0, f"{n}.jpg", "jpeg", 640,
                         480, 1, "", "", "", tag, "2026-01-01T00:00Z", "benchmark")
                    )  # fmt: skip
            with cursor.copy("COPY search_vector (index_id, picture_id, embedding) FROM STDIN") as copy:
                for n in places:
                    copy.write_row((index.pk, UUID(int=offset + n), vectors.text_of(rows[n])))
        cursor.execute("ANALYZE search_picture")


def _search(owner: Any, index: Any, query: Any) -> Callable[[np.ndarray], list[int]]:
    """As a page searches, with the vector given."""
    from apps.search.searching import Search

    offset = min(index.collection.pictures.values_list("id", flat=True).order_by("id")[:1], default=UUID(int=0)).int

    def ask(vector: np.ndarray) -> list[int]:
        search = Search(collection=index.collection, query=query, user=owner)
        found = search.nearest(vector, "", TOP)
        return [hit.picture.pk.int - offset for hit in found.hits]

    return ask


# -- beside it -------------------------------------------------------------------------------------


def _numpy(rows: np.ndarray, queries: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    return timed(lambda query: exact(rows, query[None])[0].tolist(), queries, wanted)


def _usearch(rows: np.ndarray, queries: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    from usearch.index import Index

    index = Index(ndim=WIDTH, metric="cos", dtype="f16", connectivity=16, expansion_add=128, expansion_search=100)
    began = time.perf_counter()
    index.add(np.arange(len(rows)), rows)
    rate = round(len(rows) / (time.perf_counter() - began))
    return {"ingest_per_s": rate, **timed(lambda query: index.search(query, TOP).keys.tolist(), queries, wanted)}


def _milvus(rows: np.ndarray, queries: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    import milvus_lite  # noqa: F401
    from pymilvus import MilvusClient

    with tempfile.TemporaryDirectory() as folder:
        client = MilvusClient(f"{folder}/milvus.db")
        client.create_collection("pictures", dimension=WIDTH, metric_type="COSINE")
        began = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            client.insert("pictures", [{"id": start + n, "vector": row.tolist()} for n, row in enumerate(part)])
        rate = round(len(rows) / (time.perf_counter() - began))

        def ask(query: np.ndarray) -> list[int]:
            return [hit["id"] for hit in client.search("pictures", data=[query.tolist()], limit=TOP)[0]]

        return {"ingest_per_s": rate, **timed(ask, queries, wanted)}


PEERS = {"numpy": _numpy, "usearch": _usearch, "milvus_lite": _milvus}


def peers(names: list[str], rows: np.ndarray, queries: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = PEERS[name](rows, queries, wanted)
        except ImportError as error:
            found[name] = {"absent": str(error)}
    return found


def measure(size: int, count: int, names: list[str]) -> dict[str, Any]:
    from apps.search.models import Collection

    both = clustered(size + count, np.random.default_rng(size))
    rows, queries = both[:-count], both[-count:]
    wanted = exact(rows, queries)
    found = {"ours": ours(rows, queries, wanted)}
    print(size, json.dumps(found), flush=True)
    found |= peers(names, rows, queries, wanted)
    with connection_cursor() as cursor:
        cursor.execute("TRUNCATE search_vector, search_picture CASCADE")
    Collection.objects.all().delete()
    print(size, json.dumps(found, indent=1), flush=True)
    return found


def connection_cursor() -> Any:
    from django.db import connection

    return connection.cursor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 500_000])
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--note", default="", help="about the machine: loaded, quiet")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    with embedded() as servers:
        os.environ.update(servers.environment(), DJANGO_SETTINGS_MODULE="deepseek_web.settings", LOG_LEVEL="WARNING")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        before = json.loads(options.out.read_text())["sizes"] if options.out.exists() else {}
        sizes = before | {str(size): measure(size, options.queries, options.peers) for size in options.sizes}
    result: dict[str, Any] = {
        "command": "python -m benchmarks.vector_search " + " ".join(sys.argv[1:]), "commit": commit(),
        "environment": environment(("pgvector", "numpy", "usearch", "milvus-lite")), "note": options.note,
        "width": WIDTH, "queries": options.queries, "sizes": sizes,
    }  # fmt: skip
    if "500000" in sizes:
        at_most = sizes["500000"]["ours"]
        result["summary"] = {
            "recall_at_10_500k": at_most["recall_at_10"], "p95_ms_500k": at_most["p95_ms"],
            "filtered_ratio": at_most["filtered_ratio"],
        }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
