"""Reservations, settlements, refunds, crashes, a limit that is lifted and set again, and the passing of time in any
order, against the scripts, beside a model that keeps every event. Driven by hypothesis (test_interleavings.py) and by
benchmarks/quota_races.py."""

import json
from dataclasses import dataclass, field
from typing import Any

from apps.quotas.scripts import LEASE, READ, RESERVE, SEED, SETTLE
from contracts import names

START = 1_800_000_000.0
DAY = 86_400
LEASE_SECONDS = 40.0
SPAN = 60
ACCOUNTS = ("a", "b")
# scope subject, name, place of the metric, amount, seconds of a bucket (0: of the day, -1: leases)
LIMITS = (
    ("organization", "", "1d", 2, 900, 0),
    ("team", "t", "0m", 1, 12, 1),
    ("team", "t", "2h", 3, 2000, 60),
    ("user", "*", "2m", 3, 300, 1),
    ("user", "*", "0d", 1, 25, 0),
    ("user", "*", "-1n", 0, 3, -1),
)


@dataclass
class Held:
    account: str
    at: float
    amounts: list[int]  # as they count now: estimate, then what was used
    lease_ends: float
    is_open: bool = True
    is_crashed: bool = False


@dataclass
class Interleaving:
    redis: Any
    now: float = START
    held: dict[str, Held] = field(default_factory=dict)
    admitted: int = 0
    refused: int = 0
    overshoot: int = 0  # by how much a limit was exceeded at the most, in its unit
    disagreements: int = 0  # answers that are not the model's
    leaks: int = 0
    is_leased: bool = True  # requests at once are limited

    def __post_init__(self) -> None:
        self.redis.flushdb()
        self._run = {text: self.redis.register_script(text) for text in (RESERVE, SETTLE, READ, SEED, LEASE)}
        for account in ACCOUNTS:
            for row in self.rows(account):
                self._run[SEED if row[4] >= 0 else LEASE](args=[json.dumps(row), "[]"])

    def rows(self, account: str) -> list[list[Any]]:
        start = int(self.now // DAY * DAY)
        made = []
        for scope, subject, name, place, amount, size in LIMITS:
            if size < 0 and not self.is_leased:
                continue
            subject = account if subject == "*" else subject
            key = (names.quota_leases_key if size < 0 else names.quota_key)(scope, subject)
            span, end = (start, start + DAY) if size == 0 else (SPAN if size > 0 else 0, 0)
            made.append([key, name, place, amount, size, span, end, f"{scope} {subject} m w"])
        return made

    def reserve(self, account: str, amounts: list[int]) -> None:
        source = f"request:{len(self.held) + self.refused}"
        rows, ends = self.rows(account), self.now + LEASE_SECONDS
        expected = all(self.used(row) + _added(row, amounts) <= row[3] or not _added(row, amounts) for row in rows)
        about = f'"who":{{}},"kind":"k","deployment":"","ends":{ends:.0f}'
        answer = self._run[RESERVE](
            args=[json.dumps(rows), json.dumps(amounts), source, ends, about, f"{self.now:.3f}"]
        )
        if (answer[0] == "admitted") != expected:
            self.disagreements += 1
        if answer[0] != "admitted":
            self.refused += 1
            return
        self.admitted += 1
        self.held[source] = Held(account, self.now, list(amounts), ends)
        self.overshoot = max([self.overshoot, *(self.truly_used(row) - row[3] for row in rows)])

    def settle(self, source: str, amounts: list[int], *, twice: bool = False) -> None:
        """Also of a reservation that was settled before: then nothing happens."""
        held = self.held[source]
        args = [source, json.dumps(amounts), json.dumps(self.rows(held.account)), f"{self.now:.3f}"]
        answers = [self._run[SETTLE](args=args) for _ in range(2 if twice else 1)]
        if answers != [1 if held.is_open else 0, 0][: len(answers)]:
            self.disagreements += 1
        if held.is_open:
            held.amounts, held.is_open, held.lease_ends = list(amounts), False, 0.0

    def refund(self, source: str) -> None:
        self.settle(source, [0] * 5)

    def crash(self, source: str) -> None:
        """Nobody will settle it; the sweep gives it back in the end, the lease ends by itself."""
        self.held[source].is_crashed = True

    def lift(self) -> None:
        """Requests at once are not limited any more."""
        self.is_leased = False

    def limit_again(self) -> None:
        """They are; those that run are known by their reservations."""
        if self.is_leased:
            return
        self.is_leased = True
        for account in ACCOUNTS:
            row = next(row for row in self.rows(account) if row[4] < 0)
            running = [(name, one.lease_ends, "") for name, one in self.held.items() if one.account == account]
            self.redis.delete(row[0])
            self._run[LEASE](args=[json.dumps(row), json.dumps(running)])

    def sweep(self) -> None:
        for source, held in self.held.items():
            if held.is_open and held.is_crashed and held.lease_ends < self.now:
                self.refund(source)

    def pass_time(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)

    def check(self) -> None:
        """What the scripts say is used is what the model says."""
        for account in ACCOUNTS:
            rows = self.rows(account)
            answer = self._run[READ](args=[json.dumps(rows), f"{self.now:.3f}"])
            if [int(used) for used in answer[::2]] != [self.used(row) for row in rows]:
                self.disagreements += 1

    def finish(self) -> None:
        """Everything ends one way or another; after the longest window nothing is left anywhere."""
        self.pass_time(LEASE_SECONDS + 1)
        self.sweep()
        for source, held in list(self.held.items()):
            if held.is_open:
                self.settle(source, [min(1, amount) for amount in held.amounts])
        self.check()
        self.pass_time(2 * DAY)
        for account in ACCOUNTS:
            answer = self._run[READ](args=[json.dumps(self.rows(account)), f"{self.now:.3f}"])
            self.leaks += sum(int(used) != 0 for used in answer[::2])
        self.leaks += int(self.redis.hlen(names.RESERVATIONS_KEY))
        self.leaks += sum(
            int(self.redis.zcount(key, 0, "(inf")) for key in self.redis.scan_iter(names.quota_leases_key("*", "*"))
        )

    def used(self, row: list[Any]) -> int:
        """By buckets, as admission counts."""
        if row[4] > 0:
            oldest = (self.now // row[4] - row[5]) * row[4]
            return sum(held.amounts[row[2] - 1] for held in self._of(row) if held.at // row[4] * row[4] >= oldest)
        if row[4] == 0:
            return sum(held.amounts[row[2] - 1] for held in self._of(row) if held.at >= row[5])
        return sum(held.lease_ends > self.now for held in self._of(row))

    def truly_used(self, row: list[Any]) -> int:
        """In the window that ends now, to the millisecond."""
        if row[4] <= 0:
            return self.used(row)
        return sum(held.amounts[row[2] - 1] for held in self._of(row) if held.at > self.now - SPAN * row[4])

    def _of(self, row: list[Any]) -> list[Held]:
        scope, subject = row[7].split(" ")[:2]
        return [held for held in self.held.values() if scope != "user" or held.account == subject]


def _added(row: list[Any], amounts: list[int]) -> int:
    return 1 if row[4] < 0 else amounts[row[2] - 1]
