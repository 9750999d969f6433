"""What happened to one request, and when; known for as long as its stream is kept (an hour)."""

from dataclasses import dataclass
from typing import Any

from apps.serving import requests
from apps.serving.connection import client
from contracts import names
from contracts.messages import InferenceRequest


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
    steps: list[Step]
    outcome: dict[str, Any]
    error: dict[str, Any]


def timeline(request_id: str) -> Timeline | None:
    """None when there is no such request, or not any more."""
    row = client().hgetall(names.request_key(request_id))
    if not row:
        return None
    request = InferenceRequest.from_json(row["payload"])
    said = requests.transcript(request_id)
    return Timeline(
        request_id=request_id,
        owner=row["owner"],
        deployment=request.deployment,
        revision=row.get("revision", request.revision),
        task=request.task,
        state=row["state"],
        worker=row.get("worker", ""),
        attempt=int(row["attempt"]),
        seq=said.seq,
        steps=_steps(row, said.outcome),
        outcome=said.outcome,
        error={name: value for name, value in said.error.items() if name != "outcome"},
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
