"""From a query to results on the page, and from files to pictures that are found.

python -m benchmarks.image_search                       100,000 pictures and 5,000 files, about ten minutes
python -m benchmarks.image_search --pictures 2000 --files 300

The processes of the Procfile, one of each, on servers that do not wait for the disk (benchmarks/installation.py), with
the toy model of the tests (tests/workers/toy_towers.py): its towers cost next to nothing, so that what is measured is
the site's own part. `page` is GET of the search page over HTTP with words that nobody has asked before (`cold`: one
request to a worker) and that somebody has (`warm`), while nothing else is asked. `ingest` is the time from the first
byte sent to the last picture found, over HTTP, 16 files a request, while a page looks how far it is every two seconds;
`cpu_ms_per_file` is the processor time of each process meanwhile, which another program on the machine changes little.
The toy's vectors have 8 numbers; benchmarks.vector_search measures 384.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.environment import commit, environment
from benchmarks.installation import Installation
from benchmarks.site import EMAIL, PASSWORD, Site, python
from tests.e2e.stack import free_port
from tests.workers import toy_towers

RESULT = Path(__file__).parent / "results" / "image_search.json"
TOGETHER = 16
# Rows for the page: pictures without files of their own, which show the same thumbnail.
FILL = """
from django.db import connection
from apps.search import vectors
from apps.search.models import Collection
collection = Collection.objects.get(name="Many")
index = collection.indexes.get()
with connection.cursor() as cursor:
    cursor.execute('''INSERT INTO search_picture (id, collection_id, sha256, phash, colour, name, kind, width, height,
      bytes, file, thumbnail, caption, tags, added_at, held_as)
      SELECT gen_random_uuid(), %s, md5(n::text) || md5('b' || n), n, 0, n || '.jpg', 'jpeg', 640, 480, 1, '', '', '',
      '{{}}', now() - n * interval '1 minute', 'benchmark' FROM generate_series(1, {count}) n''', [collection.pk])
    cursor.execute('''INSERT INTO search_vector SELECT %s, id, l2_normalize(ARRAY[random(), random(), random(),
      random(), random(), random(), random(), random()]::real[]::halfvec) FROM search_picture
      WHERE collection_id = %s''',      [index.pk, collection.pk])
    cursor.execute('ANALYZE')
print(collection.pk)
"""


def photographs(count: int) -> list[bytes]:
    """JPEG files of 640 x 480 with edges and noise, as large as a telephone's small size."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        small = rng.integers(0, 256, (12, 16, 3), np.uint8)
        image = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)
        noisy = np.asarray(image, np.int16) + rng.integers(-8, 9, (480, 640, 3), np.int16)
        file = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
        found.append(file.getvalue())
    return found


def ingest(installation: Installation, site: Site, files: list[bytes]) -> dict[str, Any]:
    collection = make_collection(installation, "Few")
    cpu, own = installation.cpu_seconds(), time.process_time()
    began, upload = time.perf_counter(), ""
    for start in range(0, len(files), TOGETHER):
        named = enumerate(files[start : start + TOGETHER], start)
        part = [("files", (f"{n}.jpg", one, "image/jpeg")) for n, one in named]
        values = {"upload": upload} if upload else {"collection": collection}
        upload = site.post("/search/upload/", data=values, files=part).json()["upload"]
    sent = time.perf_counter()
    while "data-busy" in (page := site.get(f"/search/collections/{collection}/live/").text):
        time.sleep(2)
    took = time.perf_counter() - began
    used = {name: seconds - cpu[name] for name, seconds in installation.cpu_seconds().items()}
    used["client"] = time.process_time() - own
    found = re.search(r"(\d+) of (\d+) files can be found", page)
    assert found, page
    return {
        "files": len(files),
        "found": int(found[1]),
        "mean_kb": round(sum(map(len, files)) / len(files) / 1024),
        "sent_s": round(sent - began, 1),
        "took_s": round(took, 1),
        "ingest_per_s": round(len(files) / took, 1),
        "cpu_ms_per_file": {name: round(1000 * one / len(files), 1) for name, one in used.items()},
    }


def make_collection(installation: Installation, name: str) -> str:
    code = (
        "from apps.accounts.models import User; from apps.search import collections; "
        f"print(collections.create(owner=User.objects.get(email={EMAIL!r}), name={name!r}, deployment='colours').pk)"
    )
    return python(installation, code).strip().splitlines()[-1]


def pages(installation: Installation, site: Site, count: int, rounds: int) -> dict[str, Any]:
    make_collection(installation, "Many")
    collection = python(installation, FILL.format(count=count)).strip().splitlines()[-1]
    colours, path = list(toy_towers.COLOURS), f"/search/collections/{collection}/"
    found: dict[str, Any] = {"pictures": count}
    for name, words in (
        ("cold", [f"{colours[n % 8]} {colours[n // 8 % 8]} word{n}" for n in range(rounds)]),
        ("warm", [f"{colours[n % 8]} word0" for n in range(rounds)]),
    ):
        times = []
        for one in words:
            began = time.perf_counter()
            answer = site.get(path, q=one, cut=-1)
            times.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200 and answer.text.count('class="picture"') == 24, answer.status_code
        kept = times[8:]
        found[name] = {f"p{share}_ms": round(float(np.percentile(kept, share)), 1) for share in (50, 95)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--note", default="", help="about the machine: loaded, quiet")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    with Installation(free_port()) as installation:
        artifact = toy_towers.build(installation.var / "artifacts" / "toy-colours")
        installation.manage("register_model", "--artifact", str(artifact), "--name", "colours", "--title", "Colours")
        installation.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
        installation.wait_for("colours")
        site = Site(installation.url)
        result: dict[str, Any] = {
            "ingest": ingest(installation, site, photographs(options.files)),
            "page": pages(installation, site, options.pictures, options.rounds),
        }
    result |= {
        "summary": {"page_p95_ms_100k": result["page"]["cold"]["p95_ms"] if options.pictures >= 100_000 else None,
                    "ingest_per_s": result["ingest"]["ingest_per_s"]},
        "command": "python -m benchmarks.image_search " + " ".join(sys.argv[1:]), "commit": commit(),
        "environment": environment(("django", "pgvector", "pillow")), "note": options.note,
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
