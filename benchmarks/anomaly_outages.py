"""kill -9 of web, workers and beat while readings come in: is any lost that was accepted, is anybody told twice.

Two assets send a reading of each of their 50 sensors a second, now and then an unusual one among them; a third takes in
5,000 old readings at once, again and again. Who sends repeats what was not answered, as docs/api.md says. Mails are
written into the log of worker-app (Django's console backend), where each has its message's id. `unscored` are steps
with a reading and without a score, by the second after the first: that one itself has none, as detectors were made
while nothing came, and the seasonal one has nothing to say behind twelve steps without a reading.
"""

from __future__ import annotations

import json
import random
import re
import signal
import threading
import time
from collections import Counter
from typing import Any

import psutil
import requests

from benchmarks.anomaly_plant import OF_AN_ASSET, Plant, Sender, make_asset, packed
from benchmarks.site import python
from tests.e2e.stack import Stack

# Processes of the Procfile by what their command lines have.
PATTERNS = {
    "web": "uvicorn", "worker": "workers.app", "worker-app": "-Q app", "worker-train": "-Q train",
    "beat": "deepseek_web beat",
}  # fmt: skip
KILLED = ("web", "worker", "worker-app", "beat")
_BULK, _KEYS, _OLD = 5000, 10, 1_750_000_000
_BETWEEN = (4.0, 8.0)  # seconds between two kills
_EVERY = 10  # seconds between two unusual readings of an asset
_PATIENCE = 180.0  # seconds for what is left to be scored and told
_MAIL = """
from apps.anomaly.models import AlertRule
print(AlertRule.objects.filter(on="score").update(emails=["somebody@example.com"]))
"""
_FOUND = """
import json, math
assets = {assets}
from django.db.models import F
from apps.anomaly.models import Asset, Delivery, Detector, Finding, Reading, Score
kept = {{str(asset.pk): [asset.stored, Reading.objects.filter(sensor_id__in=list(
    asset.sensors.values_list("pk", flat=True))).count()] for asset in Asset.objects.all()}}
mine = Detector.objects.filter(asset__in=assets)
def steps(rows, offset):  # of a second each
    return {{math.floor(at.timestamp() + offset) for at in rows.values_list("at", flat=True)}}
unscored = [step for one in mine for step in
            steps(Reading.objects.filter(sensor_id=one.columns[0], at__gt=one.watches_from), 0.5)
            - steps(Score.objects.filter(detector_id=one.pk, at__gt=one.watches_from), 0.1)]
print(json.dumps(dict(
    kept=kept, behind=mine.filter(sensors__last_at__gt=F("scored_to")).count(),
    under_way=mine.exclude(request_id="").count(),
    unscored=unscored,
    scores=sum(Score.objects.filter(detector_id=one.pk, at__gt=one.watches_from).count() for one in mine),
    findings=[[row.columns[0], row.began_at.timestamp(), row.last_at.timestamp()]
              for row in Finding.objects.filter(kind="score")],
    waiting=Delivery.objects.filter(state__in=["waiting", "sending"]).exclude(event="ended").count(),
    mails=[[str(row.pk), row.state, f"{{row.incident_id}} {{row.event}}"]
           for row in Delivery.objects.filter(channel="email")],
)))
"""


class Feeder(threading.Thread):
    """Sends until it is stopped; a request that was not answered is sent again."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._sender, self._stopped = Sender(stack), threading.Event()
        self.sent, self.accepted, self.repeated = 0, 0, 0

    def stop(self) -> None:
        self._stopped.set()

    def send(self, asset: str, series: dict[str, list[list[float]]]) -> None:
        body, count = packed(series), sum(map(len, series.values()))
        while True:
            try:
                found = self._sender.send(asset, body)
            except requests.RequestException:
                self.repeated += 1
                time.sleep(0.3)
                continue
            self.sent += count
            self.accepted += found["stored"] + found["known"]
            return


class Bulk(Feeder):
    def __init__(self, stack: Stack, asset: str) -> None:
        super().__init__(stack)
        self.asset = asset

    def run(self) -> None:
        number, each = 0, _BULK // _KEYS
        while not self._stopped.is_set():
            times = [float(_OLD + each * number + place) for place in range(each)]
            self.send(self.asset, {f"s{key}": [[at, at % 7] for at in times] for key in range(_KEYS)})
            number += 1


class Live(Feeder):
    """`unusual` are the sensor and the moment of each unusual reading."""

    def __init__(self, stack: Stack, plant: Plant, asset: str) -> None:
        super().__init__(stack)
        self._plant, self.asset, self.unusual = plant, asset, []  # type: ignore[var-annotated]

    def run(self) -> None:
        second, began = 0, time.time()
        while not self._stopped.is_set():
            at = began + second  # of the reading, whenever it can be sent
            time.sleep(max(0.0, at - time.time()))
            unusual = random.choice(self._plant.keys) if second % _EVERY == _EVERY - 1 else None
            self.send(self.asset, self._plant.readings_at(at, unusual))
            if unusual:
                self.unusual.append((self._plant.sensors[f"{self.asset} {unusual}"], at))
            second += 1


def run(stack: Stack, kills: int, threshold: float) -> dict[str, Any]:
    plant = Plant(stack, 2 * OF_AN_ASSET, "seasonal", threshold)
    python(stack, _MAIL)
    before = json.loads(python(stack, _FOUND.format(assets=plant.assets)).splitlines()[-1])
    feeders = [
        Bulk(stack, make_asset(stack, "Old readings", _KEYS)),
        *(Live(stack, plant, one) for one in plant.assets),
    ]
    began = time.time()
    for feeder in feeders:
        feeder.start()
    time.sleep(5)
    done: Counter[str] = Counter()
    for number in range(kills):
        name = KILLED[number % len(KILLED)]
        done[name] += kill(stack, name)
        time.sleep(random.uniform(*_BETWEEN))
    for feeder in feeders:
        feeder.stop()
    for feeder in feeders:
        feeder.join()
    found = _rest(stack, plant)
    sent = {feeder.asset: feeder.sent for feeder in feeders}
    new = {
        asset: rows[1] - before["kept"].get(asset, [0, 0])[1] for asset, rows in found["kept"].items() if asset in sent
    }
    unusual = [one for feeder in feeders if isinstance(feeder, Live) for one in feeder.unusual]
    told = Counter(re.findall(r"Message-ID: <([0-9a-f-]{36})@", _log(stack)))
    mine = {pk for pk, _, _ in found["mails"]}
    return {
        "kills": dict(done), "accepted": sum(feeder.accepted for feeder in feeders),
        "requests_repeated": sum(feeder.repeated for feeder in feeders),
        "lost": sum(sent[asset] - new[asset] for asset in sent),
        "counters_wrong": sum(found["kept"][asset][0] != found["kept"][asset][1] for asset in sent),
        "steps": sum(feeder.sent for feeder in feeders[1:]), "scores": found["scores"] - before["scores"],
        "unscored": dict(sorted(Counter(round(step - began) for step in found["unscored"]).items())),
        "left_behind": found["behind"] + found["under_way"],
        "unusual": len(unusual), "missed": sum(not _is_in(found["findings"], *one) for one in unusual),
        "mails": len(mine), "mails_sent_twice": sum(count > 1 for pk, count in told.items() if pk in mine),
        "incidents_told_twice": sum(n > 1 for n in Counter(what for _, _, what in found["mails"]).values()),
        "mails_interrupted": sum(state == "failed" for _, state, _ in found["mails"]),
    }  # fmt: skip


def _is_in(findings: list[list[float]], sensor: int, at: float) -> bool:
    return any(column == sensor and begin - 1 <= at <= end + 1 for column, begin, end in findings)


def _rest(stack: Stack, plant: Plant) -> dict[str, Any]:
    """What there is once nothing is on its way any more."""
    until = time.monotonic() + _PATIENCE
    while True:
        found: dict[str, Any] = json.loads(python(stack, _FOUND.format(assets=plant.assets)).splitlines()[-1])
        if not (found["behind"] or found["under_way"] or found["waiting"]) or time.monotonic() > until:
            return found
        time.sleep(2)


def kill(stack: Stack, name: str) -> int:
    """How many processes that were."""
    assert stack.process is not None
    mine = []
    for one in psutil.Process(stack.process.pid).children(recursive=True):
        try:
            command = " ".join(one.cmdline())
        except psutil.Error:
            continue
        if PATTERNS[name] in command and not command.startswith("sh "):
            mine.append(one)
    for one in mine:
        one.send_signal(signal.SIGKILL)
    print("killed", name, [one.pid for one in mine], flush=True)
    return bool(mine)


def _log(stack: Stack) -> str:
    return "".join(path.read_text(errors="replace") for path in (stack.var / "log").glob("worker-app.log*"))
