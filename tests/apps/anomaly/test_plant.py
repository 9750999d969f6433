"""The simulated plant: the same readings whoever writes them, with the faults that were put in."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.test import override_settings

from apps.accounts.models import User
from apps.anomaly import assets, plant, simulation
from apps.anomaly.models import Asset, Plant, Reading

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def station(owner: User, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Written up to now."""
    monkeypatch.setattr(plant, "HISTORY", timedelta(minutes=10))
    found = Plant.objects.get(asset=plant.create(owner=owner))
    plant.simulate()
    found.refresh_from_db()
    return found


def later(station: Plant, seconds: float) -> np.ndarray:
    """[T, S] of what is written until so many seconds behind what was."""
    since = station.written_to
    plant.simulate(now=since + timedelta(seconds=seconds))
    rows = Reading.objects.filter(at__gte=since).order_by("at")
    keys = [one.key for one in simulation.SENSORS]
    ids = dict(station.asset.sensors.values_list("key", "pk"))
    columns = [list(rows.filter(sensor_id=ids[key]).values_list("value", flat=True)) for key in keys]
    longest = max(map(len, columns))
    return np.array([column + [np.nan] * (longest - len(column)) for column in columns]).T


def test_history_and_present_are_written_once(station: Plant) -> None:
    assert Reading.objects.count() == 6 * 300
    assert not plant.simulate(now=station.written_to)
    assert later(station, 20).shape == (10, 6)
    Plant.objects.update(written_to=station.written_to)
    plant.simulate(now=station.written_to + timedelta(seconds=20))
    assert Reading.objects.count() == 6 * 310


def test_values_follow_from_time_and_seed() -> None:
    times = np.arange(0, 86_400, 2.0)
    found = simulation.values(times, seed=1)
    assert np.array_equal(found[1000:1100], simulation.values(times[1000:1100], seed=1))
    other = simulation.values(times, seed=2) - found
    scale = np.array([one.noise for one in simulation.SENSORS]) * np.sqrt(2)
    assert np.allclose(other.std(0) / scale, 1, atol=0.02)
    assert np.abs(np.corrcoef(other.T)[0, 1:]).max() < 0.02
    assert np.abs([np.corrcoef(column[1:], column[:-1])[0, 1] for column in other.T]).max() < 0.02


def test_a_shift_begins_with_the_next_reading_and_ends(station: Plant) -> None:
    clean = simulation.values(np.arange(20) * 2.0 + station.written_to.timestamp(), seed=station.pk)
    plant.inject(plant=station, kind="shift", sensor="bearing", seconds=20, size=40)
    station.refresh_from_db()
    found = later(station, 40)
    assert np.allclose((found - clean)[:10, 3], 40 * 0.25)
    assert np.allclose((found - clean)[10:, 3], 0)
    assert np.allclose(found[:, [0, 1, 2, 4, 5]], clean[:, [0, 1, 2, 4, 5]])


@pytest.mark.parametrize(("kind", "differs"), [("spike", 1), ("drift", 9), ("noise", 10), ("stuck", 9), ("stop", 10)])
def test_each_fault_shows(station: Plant, kind: str, differs: int) -> None:
    times = np.arange(20) * 2.0 + station.written_to.timestamp()
    fault = {"kind": kind, "sensor": "flow", "begin": times[0], "end": times[10], "size": 8}
    clean, found = (simulation.values(times, seed=3, faults=faults)[:, 0] for faults in ([], [fault]))
    assert (int((clean != found).sum()), bool((clean != found)[10:].any())) == (differs, False)


def test_a_sensor_that_stops_says_nothing(station: Plant) -> None:
    plant.inject(plant=station, kind="stop", sensor="flow", seconds=10)
    station.refresh_from_db()
    later(station, 20)
    flow = station.asset.sensors.get(key="flow")
    assert Reading.objects.filter(sensor_id=flow.pk).count() == 305


@pytest.mark.parametrize(
    "values",
    [{"kind": "fire"}, {"sensor": "nobody"}, {"seconds": 0}, {"seconds": 1e6}, {"size": float("nan")}, {"size": 1e9}],
)
def test_a_fault_that_cannot_be_is_refused(station: Plant, values: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))}: "):
        plant.inject(plant=station, **({"kind": "shift", "sensor": "flow"} | values))


def test_off_for_long_is_a_gap(station: Plant) -> None:
    now = station.written_to + timedelta(hours=5)
    plant.simulate(now=now)
    assert Reading.objects.count() == 6 * 301
    assert now - Plant.objects.get().written_to < timedelta(seconds=3)


def test_it_can_be_stopped_and_its_sensors_deleted(station: Plant, owner: User) -> None:
    plant.stop(plant=station)
    plant.simulate(now=station.written_to + timedelta(seconds=10))
    assert Reading.objects.count() == 1800
    plant.start(plant=station)
    for sensor in station.asset.sensors.all():
        assets.delete_sensor(sensor=sensor, actor=owner)
    plant.simulate(now=station.written_to + timedelta(seconds=10))
    assert Asset.objects.get().stored == 0


def test_the_first_start_makes_one_and_never_again(db: None) -> None:
    call_command("create_demo_plant", if_none=True)
    assert Plant.objects.count() == 0  # there is nobody yet
    boss = User.objects.create_superuser("boss@example.com")
    with override_settings(ANOMALY_DEMO=False):
        call_command("create_demo_plant", if_none=True)
    assert Plant.objects.count() == 0
    call_command("create_demo_plant", if_none=True)
    assets.delete(asset=Asset.objects.get(), actor=boss)
    call_command("create_demo_plant", if_none=True)
    assert Plant.objects.count() == 0
