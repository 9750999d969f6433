"""A worker that scores by one rule: a step is a moment, its score the distance of the first sensor from 0. Its state is
how many steps it has seen. No broker: what is sent is answered at once, or held back."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from apps.anomaly.models import Detector, Fit, Sensor
from apps.serving import connection
from contracts import conformal, names
from contracts.anomaly import FitReport, ScoreResult
from contracts.messages import InferenceRequest

SCORES = [n / 100 for n in range(200)]  # of the calibration: 0 to 1.99


def report(**values: Any) -> FitReport:
    calibration = conformal.calibrated(SCORES, 3600.0).to_dict()
    found = {
        "detector": "pca", "reason": "", "basis": "injected", "rows": [], "interval": 1.0, "context": 5, "steps": 200,
        "missing": 0.0, "threshold": 1.9, "calibration": calibration,
    }  # fmt: skip
    return FitReport(**(found | values))


def watching(sensors: list[Sensor], **values: Any) -> Detector:
    """A detector that serves with a fit, threshold 2."""
    asset = sensors[0].asset
    detector = Detector.objects.create(
        asset=asset, name="Watch", columns=[one.pk for one in sensors], state=Detector.State.WATCHING,
        threshold=2.0, calibration=report().calibration, watches_from=asset.created_at,
    )  # fmt: skip
    detector.sensors.set(sensors)
    fit = Fit.objects.create(
        detector=detector, number=1, begin=asset.created_at, end=asset.created_at, columns=detector.columns,
        state=Fit.State.READY, artifact="detector", digest="d" * 64, report=report().to_dict(), kind="pca",
    )  # fmt: skip
    Detector.objects.filter(pk=detector.pk).update(**({"fit": fit} | values))
    return Detector.objects.select_related("fit", "asset__owner", "asset__key").get(pk=detector.pk)


@dataclass
class Watcher:
    """`seen` are the items of each request. `holds` keeps answers back until `answer`; `error` is said of each item."""

    seen: list[list[dict[str, Any]]] = field(default_factory=list)
    requests: list[InferenceRequest] = field(default_factory=list)
    holds: bool = False
    error: str = ""

    def serve(self, request: InferenceRequest, queue: str = "") -> None:
        self.seen.append(request.inputs["items"])
        self.requests.append(request)
        if not self.holds:
            self.answer(request)

    def answer(self, request: InferenceRequest) -> None:
        result = {"items": [self._scored(item) for item in request.inputs["items"]]}
        client, key = connection.client(), names.stream_key(request.request_id)
        client.xadd(key, {"event": "result", "data": json.dumps(result)}, id="1-0")
        outcome = {"finish_reason": "stop", "prompt_tokens": 0}
        client.xadd(key, {"event": "done", "data": json.dumps(outcome)}, id="2-0")

    def _scored(self, item: dict[str, Any]) -> dict[str, Any]:
        if self.error:
            return asdict(ScoreResult(error=self.error))
        seen = int(item["state"] or 0) + len(item["times"])
        rows = [(at, row) for at, row in zip(item["times"], item["values"], strict=True) if at >= item["from_time"]]
        scores = [None if row[0] is None else abs(row[0]) for _, row in rows]
        above = item["explain_above"]
        shares = [[1.0] + [0.0] * (len(row) - 1) if above is not None and (score or 0) > above else None
                  for (_, row), score in zip(rows, scores, strict=True)]  # fmt: skip
        return asdict(ScoreResult(
            times=[at for at, _ in rows], values=[row for _, row in rows], scores=scores,
            expected=[[0.0] * len(row) for _, row in rows], spread=[0.5] * len(rows[0][1]) if rows else None,
            contributions=shares, state=str(seen),
        ))  # fmt: skip
