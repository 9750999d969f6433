"""Plans: figures that one computes by hand, what was measured, and how many there may be."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from contracts.mesh_plans import (
    CALIBRATION,
    EXAMPLES,
    Cluster,
    Seconds,
    Volume,
    bubble,
    plans,
    seconds,
    volume,
)
from contracts.mixture import Job, Layout, Plan, Sizes, parameters

pytestmark = pytest.mark.unit

MODEL = Sizes(vocab_size=10, width=8, layers=2, heads=2, kv_heads=1, hidden=4, experts=4)
JOB = Job(MODEL, batch=8, length=4)
PLAN = Plan(Layout(dp=1, pp=2, ep=2), micro_batches=2)
CLUSTER = Cluster(devices=4, memory=20_000, flops=1e6, bandwidth=1e6, latency=0.0)
MEASURED = Path(__file__).parents[2] / "benchmarks/results/v3_plan.json"


def test_the_bubble_is_what_stages_wait():
    assert bubble(PLAN) == pytest.approx(1 / 3)
    assert bubble(Plan(Layout(pp=4), 12)) == pytest.approx(3 / 15)
    assert bubble(Plan(Layout(dp=4), 1)) == 0.0


def test_volume_of_the_busiest_device():
    # 16 tokens of 32 bytes: 4 journeys of 2 picks, half of them away; one neighbour; a sum of 328 over two devices.
    assert volume(JOB, PLAN) == Volume(4 * 16 * 2 * 32 / 2, 16 * 32, 4 * 328)


def test_seconds_of_a_step():
    compute = 16 * (6 * 432 + 3 * 64 + 6 * 88 / 2) / 1e6
    wanted = Seconds(compute, compute / 2, 0.002048 / 2, 0.000512, 0.001312)  # products hide the second chunk's journey

    assert asdict(seconds(JOB, PLAN, CLUSTER)) == pytest.approx(asdict(wanted))


def test_plans_that_fit_come_first_and_use_every_device():
    rows = plans(JOB, CLUSTER)
    fitting = [row.fits for row in rows]

    assert fitting == sorted(fitting, reverse=True)
    assert {row.plan.layout.processes for row in rows} == {4}
    assert all(row.peak.total <= CLUSTER.memory for row in rows if row.fits)
    times = [row.seconds.total for row in rows if row.fits]
    assert times == sorted(times)
    assert all(row.plan.micro_batches >= row.plan.layout.pp for row in rows)


def test_the_example_is_a_hundred_billion_parameters_on_128_nodes():
    job, cluster = EXAMPLES["100b"]
    best = plans(job, cluster)[0]

    assert parameters(job.model).total(job.model.layers) == pytest.approx(100e9, rel=0.02)
    assert cluster.devices == 128 * 8
    assert best.fits
    assert best.plan.layout.processes == 1024


def test_the_calibration_is_what_was_measured():
    rows = json.loads(MEASURED.read_text())["details"]

    assert [
        (one.name, *asdict(one.plan.layout).values(), one.plan.micro_batches, one.plan.checkpointing, one.measured,
         one.planned, one.before) for one in CALIBRATION
    ] == [
        (row["name"], row["dp"], row["pp"], row["ep"], row["micro_batches"], row["checkpointing"], row["measured_mb"],
         row["planned_mb"], row["parts_mb"]["overhead"]) for row in rows
    ]  # fmt: skip
    assert [one.error for one in CALIBRATION] == pytest.approx([row["error"] for row in rows], abs=2e-4)
    assert [one.error_of_model for one in CALIBRATION] == pytest.approx(
        [row["error_of_model"] for row in rows], abs=4e-4
    )
