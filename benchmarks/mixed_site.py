"""What people and programs ask of one installation at the same time, as bytes to send: benchmarks.mixed_load.

Members of a team chat, search their own pictures, ask a released classifier and one that they have taught, and open
pages; a program sends the readings of assets with a detector each sensor; an administrator looks at the console.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from benchmarks import inhabited, load, open_load
from benchmarks.anomaly_plant import Plant, packed
from benchmarks.inhabited import CHAT, SENTIMENT, Tenant
from benchmarks.installation import Installation
from benchmarks.open_load import Answer, OpenLoad
from benchmarks.site import EMAIL, PASSWORD, python

NAMES = ("web", "worker", "worker-app", "worker-train", "beat")
TENANTS = ("ada", "bo", "chen", "dora")
PLANT, CONSOLE = "plant", "console"  # who asks, where it is no tenant
TOKENS = 24
# Of twenty requests.
MIX = {"chat": 2, "search": 4, "ingest": 4, "classify": 4, "taught": 2, "page": 3, "console": 1}
CONSOLE_PAGES = (
    "/console/deployments/", "/console/models/", "/console/workers/", "/console/jobs/", "/console/audit/",
    "/usage/",
)  # fmt: skip
WORDS = ("cat", "rocket", "coffee", "coins", "horse", "clock", "moon", "grass", "retina", "page", "brick", "galaxy")
SAYINGS = (
    "a gripping story that never lets go", "two hours that feel like four", "warm, funny and a little sad",
    "the plot is as thin as paper", "every actor seems to enjoy it", "I left before the end",
)  # fmt: skip
LIMIT = """
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.services import set_limit
set_limit(scope=Scope.USER, metric=Metric.CONCURRENT_REQUESTS, window=Window.NOW, amount={amount}, actor=None)
"""
_UNUSUAL_EVERY = 30.0  # seconds between two readings of an asset that raise an alarm


@dataclass(frozen=True)
class Phase:
    """`weights` say how much of the load each tenant brings; empty: all the same."""

    rate: float
    seconds: float
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Played:
    """What came of a load, by kind and by who asked; `ends` are the moments at which its phases ended."""

    began: float
    ends: list[float]
    loads: dict[tuple[str, str], OpenLoad]

    def answers(
        self, kind: str = "", who: str = "", *, since: float = 0.0, until: float = float("inf")
    ) -> list[Answer]:
        """Of a kind and of somebody, or of all; sent within a time."""
        return [
            answer
            for (found, by), of_it in self.loads.items()
            if kind in ("", found) and who in ("", by)
            for answer in of_it.answers
            if since <= answer.sent < until
        ]

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.loads.values())

    @property
    def lateness(self) -> list[float]:
        return [late for one in self.loads.values() for late in one.lateness]


class Mix:
    """Inhabits an installation; `play` sends."""

    def __init__(self, installation: Installation, artifacts: Path, assets: int) -> None:
        installation.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
        inhabited.deploy(installation, inhabited.ALL, artifacts, installation.key)
        self._installation, self._port = installation, int(installation.url.rpartition(":")[2])
        emails = [f"{name}@example.com" for name in TENANTS]
        self.tenants = dict(zip(TENANTS, inhabited.make_people(installation, emails, PASSWORD), strict=True))
        (self._administrator,) = inhabited.make_people(installation, [EMAIL], PASSWORD)
        for tenant in self.tenants.values():
            inhabited.give_pictures(installation, tenant)
            inhabited.teach(installation, tenant, installation.var)
            print(tenant.email, "is there", flush=True)
        self.plant = Plant(installation, 50 * assets, "seasonal", 4.0)
        self._turns, self._alarms = cycle(self.plant.assets), dict.fromkeys(self.plant.assets, time.time())
        self._draws = random.Random(0)
        self._pages, self._number = cycle(CONSOLE_PAGES), 0

    def limit_at_once(self, amount: int | None) -> None:
        """Requests that one person may have under way."""
        python(self._installation, LIMIT.format(amount=amount))

    def play(self, phases: list[Phase], patience: float = 30.0) -> Played:
        """One phase after the other without a pause; arrivals are those of people who do not know of each other."""
        loads: dict[tuple[str, str], OpenLoad] = {}
        began, end, ends = time.perf_counter(), 0.0, []
        for phase in phases:
            ends.append(end := end + phase.seconds)
        asyncio.run(open_load.drive(self._port, self._sendings(phases, loads), patience=patience))
        return Played(began, [began + one for one in ends], loads)

    def _sendings(
        self, phases: list[Phase], loads: dict[tuple[str, str], OpenLoad]
    ) -> Iterator[tuple[float, OpenLoad, bytes]]:
        start = 0.0
        for phase in phases:
            weights = [phase.weights.get(name, 1.0) for name in TENANTS]
            at = start + self._draws.expovariate(phase.rate)
            while at < start + phase.seconds:
                (kind,) = self._draws.choices(list(MIX), list(MIX.values()))
                (name,) = self._draws.choices(TENANTS, weights)
                who = {"ingest": PLANT, "console": CONSOLE}.get(kind, name)
                yield at, loads.setdefault((kind, who), OpenLoad()), self._request(kind, self.tenants[name])
                at += self._draws.expovariate(phase.rate)
            start += phase.seconds

    def _request(self, kind: str, tenant: Tenant) -> bytes:
        """Of its kind; the words are drawn, so that no answer is known already."""
        self._number += 1
        word, saying = self._draws.choice(WORDS), self._draws.choice(SAYINGS)
        if kind == "chat":
            said = [{"role": "user", "content": f"Say something about a {word}, number {self._number}."}]
            body = {"model": CHAT, "messages": said, "max_tokens": TOKENS, "stream": True}
            return load.post("/v1/chat/completions", body, tenant.headers)
        if kind == "search":
            body = {"parts": [{"words": f"{word} {self._number}"}], "cut": -1}
            return load.post(f"/api/v1/search/collections/{tenant.collection}/search", body, tenant.headers)
        if kind == "classify":
            body = {"model": SENTIMENT, "text": f"{saying}, {word}"}
            return load.post("/api/v1/classify", body, tenant.headers)
        if kind == "taught":
            path = f"/api/v1/classifiers/{tenant.classifier}/predict"
            return load.post(path, {"texts": [f"The {word} came late again, letter {self._number}."]}, tenant.headers)
        if kind == "ingest":
            return self._readings()
        if kind == "console":
            return _get(next(self._pages), self._administrator)
        pages = ("/", "/chat/", "/teach/", f"/search/collections/{tenant.collection}/")
        return _get(self._draws.choice(pages), tenant)

    def _readings(self) -> bytes:
        """A reading of each sensor of the asset whose turn it is."""
        asset, now, unusual = next(self._turns), time.time(), None
        if now - self._alarms[asset] > _UNUSUAL_EVERY:
            self._alarms[asset], unusual = now, self._draws.choice(self.plant.keys)
        body = json.loads(packed(self.plant.readings_at(now, unusual)))
        return load.post(f"/api/v1/anomaly/assets/{asset}/readings", body, self._administrator.headers)


def _get(path: str, tenant: Tenant) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: sessionid={tenant.session}", "", ""]
    return "\r\n".join(lines).encode()
