"""What happened to one request, and when; known for an hour, or a quarter of one after a short answer.

The stream of a short answer is gone sooner (contracts.names): only the request's hash is asked.
"""

import json
from dataclasses import dataclass
from typing import Any

from apps.serving.connection import client
from contracts import names
from contracts.messages import Event, InferenceRequest


@dataclass(frozen=True, slots=True)
class Step:
    event: str  # received, sent_again, claimed, started, first_token, ended
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Timeline:
    request_id: str
    owner: str  # id of the user
    deployment: str
    revision: str
    task: str
    state: str  # reserved, queued, running, done
    worker: str
    attempt: int
    seq: int  # of the newest event
    are_events_kept: bool
    steps: list[Step]
    outcome: dict[str, Any]
    error: dict[str, Any]


def timeline(request_id: str) -> Timeline | None:
    """None when there is no such request, or not any more."""
    with client().pipeline(transaction=False) as pipe:
        pipe.hgetall(names.request_key(request_id))
        pipe.exists(names.stream_key(request_id))
        row, stream = pipe.execute()
    if not row:
        return None
    request = InferenceRequest.from_json(row["payload"])
    said = json.loads(row.get("said", "{}"))
    outcome = said if row.get("last") == Event.DONE else {}
    return Timeline(
        request_id=request_id,
        owner=row["owner"],
        deployment=request.deployment,
        revision=row.get("revision", request.revision),
        task=request.task,
        state=row["state"],
        worker=row.get("worker", ""),
        attempt=int(row["attempt"]),
        seq=int(row.get("seq", 0)),
        are_events_kept=bool(stream),
        steps=_steps(row, outcome),
        outcome=outcome,
        error={} if outcome else {name: value for name, value in said.items() if name != "outcome"},
    )


def _steps(row: dict[str, str], outcome: dict[str, Any]) -> list[Step]:
    arrived = float(row["arrival_time"])
    steps = [Step("received", arrived)]
    if float(row["queued_at"]) > arrived:  # the last attempt; the ones before it left nothing but tokens
        steps.append(Step("sent_again", float(row["queued_at"])))
    if "claimed_at" in row:
        steps.append(Step("claimed", float(row["claimed_at"])))
    if outcome:
        steps.append(Step("started", arrived + outcome["queue_time"]))
        if outcome["time_to_first_token"]:
            steps.append(Step("first_token", arrived + outcome["time_to_first_token"]))
    if "ended_at" in row:
        steps.append(Step("ended", float(row["ended_at"])))
    return sorted(steps, key=lambda step: step.at)
