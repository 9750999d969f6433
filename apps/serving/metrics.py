"""Metrics in Prometheus' text form, for the whole installation at once.

Every process writes what it counts to Redis (stats.py, leases), so any web process can answer the scrape and
no worker needs a port of its own. Counters of requests are added up when a request is settled; counters of an
engine are its own since it was loaded and start again with it, as Prometheus expects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apps.serving import queries, stats
from apps.serving.connection import client
from contracts import names
from contracts.messages import RevisionReport, WorkerLease

_REVISION = ("deployment", "revision")
_WORKER = (*_REVISION, "worker")

# Counter of stats.py: name and help of the metric.
_COUNTERS = {
    "prompt_tokens": ("deepseek_prompt_tokens", "Tokens of prompts"),
    "cached_tokens": ("deepseek_cached_prompt_tokens", "Tokens of prompts that were found in the key-value cache"),
    "completion_tokens": ("deepseek_completion_tokens", "Tokens generated"),
}
_HISTOGRAMS = {
    "latency": ("deepseek_request_duration_seconds", "From arrival to the last event"),
    "queue": ("deepseek_request_queue_seconds", "From arrival to the first computation"),
    "first": ("deepseek_time_to_first_token_seconds", "From arrival to the first token"),
    "inter": ("deepseek_inter_token_latency_seconds", "Mean time between two tokens of one answer"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the metrics are made of: counters by revision, leases, live requests by revision."""

    totals: Mapping[str, Mapping[str, int]]
    leases: list[WorkerLease]
    live: Mapping[str, int]


def read() -> Reading:
    """Two round trips to Redis."""
    totals = stats.totals()
    leases = queries.leases()
    revisions = sorted({*totals, *(key for lease in leases for key in lease.revisions)})
    with client().pipeline(transaction=False) as pipe:
        for revision in revisions:
            pipe.zcard(names.live_key(revision))
        return Reading(totals, leases, dict(zip(revisions, pipe.execute(), strict=True)))


def render(reading: Reading) -> bytes:
    """The body of /metrics; the memory and the CPU of this web process are in it."""
    registry = CollectorRegistry()
    registry.register(_Installation(reading))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Installation:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield from _requests(self._reading.totals)
        yield from _histograms(self._reading.totals)
        yield _gauge("deepseek_requests_live", "Requests that have not ended", _REVISION, _live(self._reading.live))
        yield from _revisions(self._reading.leases)
        yield from _engines(self._reading.leases)
        yield from _workers(self._reading.leases)


_Samples = Iterator[tuple[tuple[str, ...], float]]


def _requests(totals: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    requests = CounterMetricFamily("deepseek_requests", "Settled requests", labels=(*_REVISION, "status"))
    seconds = CounterMetricFamily("deepseek_compute_seconds", "Time of computation", labels=_REVISION)
    for revision, counters in totals.items():
        errors = counters.get("errors", 0)
        requests.add_metric((*_labels(revision), "ok"), counters.get("requests", 0) - errors)
        requests.add_metric((*_labels(revision), "error"), errors)
        seconds.add_metric(_labels(revision), counters.get("compute_ms", 0) / 1000)
    yield requests
    yield seconds
    for counter, (name, text) in _COUNTERS.items():
        family = CounterMetricFamily(name, text, labels=_REVISION)
        for revision, counters in totals.items():
            family.add_metric(_labels(revision), counters.get(counter, 0))
        yield family


def _histograms(totals: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    for kind, (name, text) in _HISTOGRAMS.items():
        family = HistogramMetricFamily(name, text, labels=_REVISION)
        for revision, counters in totals.items():
            family.add_metric(_labels(revision), _buckets(kind, counters), counters.get(f"{kind}_ms", 0) / 1000)
        yield family


def _buckets(kind: str, counters: Mapping[str, int]) -> list[tuple[str, float]]:
    """Cumulative counts at powers of two of a millisecond, up to 1,049 s."""
    places = {int(name.partition(":")[2]): n for name, n in counters.items() if name.startswith(f"{kind}:")}
    bounds = range(0, 21 * stats.STEPS, stats.STEPS)
    buckets = [(repr(stats.bound(end)), float(sum(n for place, n in places.items() if place <= end))) for end in bounds]
    return [*buckets, ("+Inf", float(sum(places.values())))]


def _live(live: Mapping[str, int]) -> _Samples:
    return ((_labels(revision), count) for revision, count in live.items())


def _revisions(leases: list[WorkerLease]) -> Iterator[Metric]:
    yield _gauge("deepseek_requests_running", "Requests that hold a slot", _WORKER, _each(leases, "running"))
    yield _gauge(
        "deepseek_requests_waiting", "Requests a worker holds without a slot", _WORKER, _each(leases, "waiting")
    )
    yield _gauge("deepseek_slots", "Requests that can run at once", _WORKER, _each(leases, "slots"))
    yield _gauge("deepseek_revision_memory_bytes", "Memory a revision takes", _WORKER, _each(leases, "memory_bytes"))
    ready = ((labels, float(report.state == "READY")) for labels, report in _reports(leases))
    yield _gauge("deepseek_revision_ready", "1 where a revision is loaded and warm", _WORKER, ready)


def _engines(leases: list[WorkerLease]) -> Iterator[Metric]:
    """One counter for each that an engine has: steps, batches, generated_tokens, failures and so on."""
    counters = sorted({name for _, report in _reports(leases) for name in report.counters})
    for name in counters:
        family = CounterMetricFamily(
            f"deepseek_engine_{name}", "Counted by the engine since it was loaded", labels=_WORKER
        )
        for labels, report in _reports(leases):
            if name in report.counters:
                family.add_metric(labels, report.counters[name])
        yield family


def _workers(leases: list[WorkerLease]) -> Iterator[Metric]:
    kinds = ("memory_used", "memory_free", "memory_total")
    memory = (((lease.worker_id, lease.host, kind[7:]), getattr(lease, kind)) for lease in leases for kind in kinds)
    yield _gauge(
        "deepseek_worker_memory_bytes", "Memory of a worker and its machine", ("worker", "host", "kind"), memory
    )
    devices = (
        ((lease.worker_id, lease.host, str(device.get("name", "")), kind[7:]), float(device[kind]))
        for lease in leases
        for device in lease.devices
        for kind in ("memory_free", "memory_total")
        if kind in device
    )
    labels = ("worker", "host", "device", "kind")
    yield _gauge("deepseek_device_memory_bytes", "Memory of a GPU", labels, devices)


def _reports(leases: list[WorkerLease]) -> Iterator[tuple[tuple[str, ...], RevisionReport]]:
    for lease in leases:
        for revision, report in lease.revisions.items():
            yield (*_labels(revision), lease.worker_id), report


def _each(leases: list[WorkerLease], name: str) -> _Samples:
    return ((labels, float(getattr(report, name))) for labels, report in _reports(leases))


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, amount in samples:
        family.add_metric(values, amount)
    return family


def _labels(revision: str) -> tuple[str, str]:
    return revision.rpartition("@")[0], revision
