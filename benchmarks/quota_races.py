"""Whether limits hold and nothing leaks, whatever comes after what.

python -m benchmarks.quota_races [--interleavings 1000] [--steps 60] [--seed 1]

Each interleaving starts from empty counters and takes random steps: reserve, settle (once or twice, with less than was
reserved), refund, crash (nobody settles), sweep, the limit of requests at once lifted or set again, and the passing of
milliseconds to days. A model beside it keeps every event; the scripts in Redis have to give the same answer each time.
`overshoot` is by how much a limit was exceeded at the most in any window to the millisecond, `leaks` what is left in
Redis when everything has ended, `disagreements` the answers that were not the model's. Processes that reserve at once
are in tests/apps/quotas/test_races.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import commit, environment
from deepseek_web.launch.embedded import embedded

RESULTS = Path(__file__).parent / "results" / "quota_races.json"
STEPS = ("reserve", "settle", "refund", "crash", "sweep", "wait", "lift", "limit_again")
FIGURES = ("overshoot", "leaks", "disagreements", "admitted", "refused")


def main() -> None:
    options = _options()
    began = time.perf_counter()
    with embedded() as servers:
        os.environ.update(servers.environment(), DJANGO_SETTINGS_MODULE="deepseek_web.settings")
        found = [_interleaving(options.seed + place, options.steps) for place in range(options.interleavings)]
    totals = {name: sum(one[name] for one in found) for name in FIGURES if name != "overshoot"}
    summary = {"overshoot": max(one["overshoot"] for one in found), "interleavings": len(found), **totals}
    result = {
        "summary": summary,
        "details": {"steps": options.steps, "seed": options.seed, "seconds": round(time.perf_counter() - began, 1)},
        "environment": environment(("django", "redis")),
        "command": f"python -m benchmarks.quota_races --interleavings {options.interleavings} --steps {options.steps}",
        "commit": commit(),
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def _interleaving(seed: int, steps: int) -> dict[str, int]:
    import django

    django.setup()
    from apps.serving.connection import client
    from tests.apps.quotas.interleaving import ACCOUNTS, Interleaving

    dice, world = random.Random(seed), Interleaving(client())
    for _ in range(steps):
        _step(world, dice, ACCOUNTS)
        world.check()
    world.finish()
    return {name: getattr(world, name) for name in FIGURES}


def _step(world: Any, dice: random.Random, accounts: tuple[str, ...]) -> None:
    kind = dice.choices(STEPS, (40, 20, 6, 6, 4, 24, 2, 4))[0]
    if kind == "reserve":
        world.reserve(dice.choice(accounts), [1, dice.randrange(90), dice.randrange(150), 1000, 0])
    elif kind == "wait":
        world.pass_time(dice.choice((dice.random(), 5 * dice.random(), 90 * dice.random(), 60.0, 3600.0, 86_400.0)))
    elif kind in {"sweep", "lift", "limit_again"}:
        getattr(world, kind)()
    elif world.held:
        _end(world, kind, dice.choice(list(world.held)), dice)


def _end(world: Any, kind: str, source: str, dice: random.Random) -> None:
    if kind == "refund":
        world.refund(source)
    elif kind == "crash":
        world.crash(source)
    else:
        share = dice.random()
        used = [int(amount * share) for amount in world.held[source].amounts]
        world.settle(source, used, twice=dice.random() < 0.3)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--interleavings", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
