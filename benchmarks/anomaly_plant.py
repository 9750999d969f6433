"""Assets of 50 sensors with a detector each, and what sends their readings, for benchmarks of anomaly detection."""

from __future__ import annotations

import json
import time

import numpy as np
import requests

from benchmarks.installation import Installation
from benchmarks.site import EMAIL, python
from tests.e2e.stack import Stack

OF_AN_ASSET, TOGETHER = 50, 20_000
HISTORY = 3600  # readings of a sensor to fit on
_ASSET = """
from apps.accounts.models import User
from apps.anomaly import assets
owner = User.objects.get(email={email!r})
asset = assets.create(owner=owner, name={name!r})
asset.group_seconds = 1  # so that what is told apart here is told apart there
asset.save()
for number in range({sensors}):
    assets.add_sensor(asset=asset, key=f"s{{number}}", interval=1.0)
print(asset.pk)
"""
FIT = """
from datetime import UTC, datetime
from apps.anomaly import detectors
from apps.anomaly.models import Asset
asset = Asset.objects.get(pk={asset!r})
sensor = asset.sensors.first()
detector = detectors.create(asset=asset, sensors=[sensor])
fit = detectors.fit(detector=detector, begin=datetime.fromtimestamp({begin}, UTC), end=datetime.now(UTC),
                    actor=asset.owner, kind={kind!r}, budget=1.0, per="day")
print(fit.pk)
"""
STATE = """
from apps.anomaly.models import Fit
fit = Fit.objects.get(pk={fit})
print(fit.state, fit.problem)
"""
# The same detector for every sensor, each in a folder and with a digest of its own.
_COPY = """
import hashlib, json, shutil
from pathlib import Path
from django.conf import settings
from django.db import transaction
from apps.anomaly import detectors, fitting
from apps.anomaly.models import Detector, Fit, Sensor
first, root = Fit.objects.get(pk={fit}), Path(settings.ARTIFACTS_DIR)
for sensor in Sensor.objects.filter(detectors=None, asset__in={assets}).select_related("asset"):
    folder = root / f"{{first.artifact}}-{{sensor.pk}}"
    shutil.copytree(root / first.artifact, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({{**manifest, "title": folder.name}}))
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    detector = detectors.create(asset=sensor.asset, sensors=[sensor])
    fit = Fit.objects.create(detector=detector, number=1, asked=first.asked, kind=first.kind, begin=first.begin,
                             end=first.end, columns=[sensor.pk], state="ready", artifact=folder.name, digest=digest,
                             report=first.report)
    with transaction.atomic():
        fitting.serve(fit)
# A threshold that noise does not reach: what is measured is how soon, not how well.
mine = Detector.objects.filter(asset__in={assets})
mine.update(threshold={threshold}, is_by_hand=True)
print(mine.filter(state="watching").count())
"""
_BEHIND = """
from django.db.models import F
from apps.anomaly.models import Detector
mine = Detector.objects.filter(asset__in={assets})
print(mine.filter(sensors__last_at__gt=F("scored_to")).count(), mine.exclude(problem="").count())
"""
_SENSORS = """
import json
from apps.anomaly.models import Sensor
print(json.dumps({f"{one.asset_id} {one.key}": one.pk for one in Sensor.objects.all()}))
"""


def make_asset(installation: Installation | Stack, name: str, sensors: int) -> str:
    return python(installation, _ASSET.format(email=EMAIL, name=name, sensors=sensors)).split()[-1]


class Sender:
    """Sends readings of assets with a key."""

    def __init__(self, installation: Installation | Stack) -> None:
        self._url, self._session = installation.url, requests.Session()
        key = installation.manage("create_api_key", EMAIL).strip()
        self._session.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def send(self, asset: str, body: bytes, *, is_gzip: bool = False) -> dict[str, int]:
        headers = {"Content-Encoding": "gzip"} if is_gzip else {}
        answer = self._session.post(
            f"{self._url}/api/v1/anomaly/assets/{asset}/readings", data=body, headers=headers, timeout=120
        )
        answer.raise_for_status()
        found: dict[str, int] = answer.json()
        return found


def packed(series: dict[str, list[list[float]]]) -> bytes:
    return json.dumps({"series": series}).encode()


class Plant:
    """Assets of 50 sensors with a detector each."""

    def __init__(self, installation: Installation | Stack, sensors: int, kind: str, threshold: float) -> None:
        self._installation, self._sender = installation, Sender(installation)
        self.assets = [
            make_asset(installation, f"Asset {number}", OF_AN_ASSET) for number in range(sensors // OF_AN_ASSET)
        ]
        self.keys = [f"s{number}" for number in range(OF_AN_ASSET)]
        self._draws = np.random.default_rng(0)
        begin = time.time() - HISTORY
        for asset in self.assets:
            self._all(asset, begin + np.arange(HISTORY - 1))
        fit = python(installation, FIT.format(asset=self.assets[0], begin=begin - 10, kind=kind)).split()[-1]
        while (state := python(installation, STATE.format(fit=fit)).split())[0] != "ready":
            if state[0] == "failed":
                raise RuntimeError(" ".join(state))
            time.sleep(2)
        self.detectors = int(
            python(installation, _COPY.format(fit=fit, threshold=threshold, assets=self.assets)).split()[-1]
        )
        self.sensors: dict[str, int] = json.loads(python(installation, _SENSORS).splitlines()[-1])

    def _all(self, asset: str, times: np.ndarray) -> None:
        each = TOGETHER // OF_AN_ASSET
        for begin in range(0, len(times), each):
            part = times[begin : begin + each]
            self._sender.send(asset, packed({key: self._readings(part) for key in self.keys}))

    def _readings(self, times: np.ndarray) -> list[list[float]]:
        values = 50 + 5 * np.sin(times / 60) + self._draws.normal(0, 0.5, len(times))
        return [list(pair) for pair in zip(times.tolist(), values.tolist(), strict=True)]

    def second(self, asset: str, unusual: str | None) -> float:
        """A reading of each sensor of the asset, now; of the unusual one another. When that is."""
        at = time.time()
        self._sender.send(asset, packed(self.readings_at(at, unusual)))
        return at

    def readings_at(self, at: float, unusual: str | None) -> dict[str, list[list[float]]]:
        series = {key: self._readings(np.array([at])) for key in self.keys}
        if unusual:
            series[unusual][0][1] += 40
        return series

    def backlog(self, steps: int) -> float:
        """Seconds from the last of so many readings of every sensor until all are scored."""
        now = time.time()
        for asset in self.assets:
            self._all(asset, now - steps + np.arange(steps))
        began = time.perf_counter()
        while self.behind()[0]:
            time.sleep(0.2)
        return time.perf_counter() - began

    def behind(self) -> tuple[int, int]:
        behind, problems = python(self._installation, _BEHIND.format(assets=self.assets)).split()[-2:]
        return int(behind), int(problems)
