"""What /metrics says, read back by Prometheus' own parser."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from apps.serving import metrics, stats
from contracts.messages import RevisionReport, WorkerLease

ROOT = Path(__file__).resolve().parents[3]


def lease() -> WorkerLease:
    counters = {"steps": 10.0, "generated_tokens": 70.0, "items": 8.0}
    report = RevisionReport("READY", memory_bytes=7, running=2, waiting=1, slots=16, counters=counters)
    return WorkerLease(
        "w1", "gpu-01", 7, 1e12, {"chat@2": report}, memory_total=100, memory_free=60, memory_used=20,
        devices=[{"name": "A10", "memory_total": 24, "memory_free": 20}],
    )  # fmt: skip


def samples(totals: dict[str, Counter[str]]) -> dict[tuple[str, ...], float]:
    """(name, label values in alphabetical order of labels...) -> value."""
    body = metrics.render(metrics.Reading(totals, [lease()], {"chat@2": 3})).decode()
    found = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            labels = [value for _, value in sorted(sample.labels.items())]
            found[sample.name, *labels] = sample.value
    return found


@pytest.fixture
def totals() -> dict[str, Counter[str]]:
    times = {"latency": 0.5, "queue": 0.004, "first": 0.1, "inter": 0.01}
    good = stats.measured(times=times, prompt_tokens=10, completion_tokens=40, compute_ms=300)
    slow = stats.measured(times={**times, "latency": 3.0}, prompt_tokens=5, completion_tokens=2, compute_ms=200)
    bad = stats.measured(times=times, is_error=True, prompt_tokens=1)
    return {"chat@2": good + slow + bad}


def test_counters_are_sums_over_requests(totals: dict[str, Counter[str]]) -> None:
    found = samples(totals)
    assert found["deepseek_requests_total", "chat", "chat@2", "ok"] == 2
    assert found["deepseek_requests_total", "chat", "chat@2", "error"] == 1
    assert found["deepseek_prompt_tokens_total", "chat", "chat@2"] == 16
    assert found["deepseek_completion_tokens_total", "chat", "chat@2"] == 42
    assert found["deepseek_compute_seconds_total", "chat", "chat@2"] == 0.5


def test_histogram_is_cumulative_and_leaves_out_what_failed(totals: dict[str, Counter[str]]) -> None:
    found = samples(totals)
    name = "deepseek_request_duration_seconds"
    buckets = {float(key[2]): value for key, value in found.items() if key[0] == f"{name}_bucket"}
    assert buckets[0.256] == 0
    assert buckets[0.512] == buckets[2.048] == 1
    assert buckets[4.096] == buckets[float("inf")] == 2
    assert found[f"{name}_count", "chat", "chat@2"] == 2
    assert found[f"{name}_sum", "chat", "chat@2"] == 3.5


def test_gauges_are_what_the_leases_say() -> None:
    found = samples({})
    assert found["deepseek_requests_running", "chat", "chat@2", "w1"] == 2
    assert found["deepseek_revision_ready", "chat", "chat@2", "w1"] == 1
    assert found["deepseek_requests_live", "chat", "chat@2"] == 3
    assert found["deepseek_worker_memory_bytes", "gpu-01", "free", "w1"] == 60
    assert found["deepseek_device_memory_bytes", "A10", "gpu-01", "free", "w1"] == 20
    assert found["deepseek_engine_generated_tokens_total", "chat", "chat@2", "w1"] == 70


def test_the_dashboard_asks_for_what_is_there(totals: dict[str, Counter[str]]) -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/deepseek-web.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b(?:deepseek|process)_\w+", target["expr"])
    }
    there = {key[0] for key in samples(totals)}
    assert asked - there == set()
    assert len(asked) > 15


def test_totals_add_up_over_buckets() -> None:
    one = stats.measured(times={"latency": 0.5}, prompt_tokens=10)
    stats.add({"chat@2": one, "other@1": one}, now=1000.0)
    stats.add({"chat@2": one}, now=2000.0)
    assert stats.totals() == {"chat@2": one + one, "other@1": one}
