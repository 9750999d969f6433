"""An asset with two sensors, shared with a team; readings as arrays."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from apps.accounts.models import Membership, Role, Team, User
from apps.anomaly import assets, partitions, scoring, storing
from apps.anomaly.models import Asset, Sensor
from apps.anomaly.points import Points
from apps.serving import connection
from apps.serving.services import Target
from contracts import names
from contracts.anomaly import TASK
from contracts.messages import InferenceRequest
from tests.apps.anomaly.watcher import Watcher

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
T0 = BEGIN.timestamp()


@pytest.fixture(autouse=True)
def unknown_partitions() -> None:
    """What one test has made is rolled back with it."""
    partitions.forget()


@pytest.fixture
def team(owner: User, member: User) -> Team:
    team = Team.objects.create(name="Plant")
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    Membership.objects.create(team=team, user=member, role=Role.MEMBER)
    return team


@pytest.fixture
def viewer(team: Team) -> User:
    """In the team, to look only."""
    viewer = User.objects.create_user("viewer@example.com", "correct horse battery staple")
    Membership.objects.create(team=team, user=viewer, role=Role.VIEWER)
    return viewer


@pytest.fixture
def asset(owner: User, team: Team) -> Asset:
    return assets.create(owner=owner, name="Press 4", team=team)


@pytest.fixture
def sensor(asset: Asset) -> Sensor:
    return assets.add_sensor(asset=asset, key="bearing", name="Bearing", unit="°C", interval=1.0, keep_days=None)


@pytest.fixture
def other(asset: Asset, sensor: Sensor) -> Sensor:
    return assets.add_sensor(asset=asset, key="current", name="Current", unit="A", interval=1.0, keep_days=None)


def points(sensor: Sensor, times: list[float] | np.ndarray, values: list[float] | np.ndarray) -> Points:
    """`times` are seconds since BEGIN."""
    return Points.of(np.full(len(times), sensor.pk), T0 + np.asarray(times, float), np.asarray(values, float))


@pytest.fixture
def put(django_capture_on_commit_callbacks: Any) -> Callable[..., storing.Stored]:
    """Store readings, and say so as after a commit."""

    def put(sensor: Sensor, times: list[float] | np.ndarray, values: list[float] | np.ndarray) -> storing.Stored:
        with django_capture_on_commit_callbacks(execute=True):
            return storing.store_readings(asset=sensor.asset, points=points(sensor, times, values))

    return put


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """Answers what detectors ask."""
    watcher = Watcher()

    def submit(*, request: InferenceRequest, who: object, target: Target) -> None:
        watcher.serve(request)

    target = Target("detectors", "Detectors", TASK, "detectors@1", 1, 2048, 128)
    monkeypatch.setattr(scoring.serving, "route", lambda name, task: target)
    monkeypatch.setattr(scoring.quotas, "submit", submit)
    monkeypatch.setattr(scoring.requests, "exists", lambda ids: [bool(connection.client().exists(names.stream_key(one)))
                                                                 for one in ids])  # fmt: skip
    return watcher
