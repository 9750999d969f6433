"""Counters in ten-second buckets and percentiles from them."""

import math
from collections import Counter

import numpy as np
import pytest

from apps.serving import snapshot, stats


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_percentile_is_at_most_a_bucket_above_the_true_one(share: float) -> None:
    times = np.random.default_rng(0).lognormal(-1, 1, 2000)
    total = stats.Stats(60)
    for seconds in times:
        total.counters.update(stats.measured(times={"latency": seconds}))
    true = float(np.quantile(times, share, method="inverted_cdf"))
    found = total.percentile(share)
    assert found is not None
    assert true <= found * (1 + 1e-9) <= true * 2**0.25 * (1 + 1e-6)


def test_window_adds_its_buckets_and_no_others() -> None:
    for at, count in ((1000, 1), (1030, 2), (1059, 4)):
        for _ in range(count):
            stats.add({"a@1": stats.measured(times={"latency": 0.1}, completion_tokens=5)}, now=at)
    last_minute = stats.over(["a@1", "b@1"], seconds=60, now=1059)
    assert (last_minute["a@1"].requests, last_minute["a@1"].counters["completion_tokens"]) == (7, 35)
    assert last_minute["a@1"].per_second == pytest.approx(7 / 60)
    assert stats.over(["a@1"], seconds=30, now=1059)["a@1"].requests == 6
    assert (last_minute["b@1"].requests, last_minute["b@1"].percentile(0.5)) == (0, None)


def test_failed_requests_have_no_latency() -> None:
    counters = stats.measured(times={"latency": 9.0}, is_error=True)
    assert (counters["requests"], counters["errors"]) == (1, 1)
    assert set(counters) == {"requests", "errors"}


def test_series_is_oldest_first() -> None:
    stats.add({"a@1": stats.measured(times={"latency": 0.1})}, now=1005)
    stats.add({"a@1": stats.measured(times={"latency": 0.1})}, now=1015)
    stats.add({"a@1": stats.measured(times={"latency": 0.1})}, now=1015)
    assert [one["requests"] for one in stats.series(["a@1"], seconds=30, now=1015)["a@1"]] == [0, 1, 2]


def test_mean_compute_follows_the_latest_requests() -> None:
    """What nothing computed, or only failed, says nothing."""

    def add(count: int, milliseconds: int) -> float:
        stats.add({"a@1": Counter(requests=count, compute_ms=count * milliseconds)})
        return snapshot.take().compute_ms["a@1"]

    stats.add({"a@1": Counter(requests=3, errors=1)})
    assert snapshot.take().compute_ms == {}
    assert add(1, 400) == 400
    assert add(100, 800) == pytest.approx(800 - 400 * math.exp(-1), abs=0.01)
    assert add(1000, 800) == pytest.approx(800, abs=0.1)
    stats.add({"b@1": Counter(requests=2, errors=2, compute_ms=60)})
    assert snapshot.take().compute_ms["b@1"] == 60
