"""Batches against the cost table: never slower than one by one, fair, nobody made late."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engine.batcher import Batcher, Item, Waiting
from workers.engine.cost_table import CostTable

pytestmark = pytest.mark.unit

prices = st.floats(0.0005, 0.5)


@st.composite
def tables(draw: st.DrawFn) -> CostTable:
    """Any prices whatever: batches that gain, that lose, that gain at one length only, with holes."""
    lengths = sorted(draw(st.sets(st.integers(1, 128), min_size=1, max_size=5)))
    seconds = {1: {length: draw(prices) for length in lengths}}
    for size in draw(st.sets(st.sampled_from([2, 4, 8, 16]))):
        measured = lengths[: draw(st.integers(0, len(lengths)))]
        seconds[size] = {length: size * seconds[1][length] * draw(st.floats(0.2, 3.0)) for length in measured}
    return CostTable(seconds, 128)


mixes = st.lists(st.integers(1, 128), min_size=1, max_size=60)


def queue_of(lengths: list[int], tenants: list[str] | None = None) -> Waiting:
    waiting = Waiting()
    for place, length in enumerate(lengths):
        waiting.add(Item(length, place, tenants[place] if tenants else ""))
    return waiting


def drain(batcher: Batcher, waiting: Waiting, now: float = 0.0) -> list[list[Item]]:
    batches = []
    while waiting:
        batch = batcher.choose(waiting, now)
        for item in batch:
            waiting.take(item)
        batches.append(batch)
    return batches


def price(table: CostTable, batch: list[Item]) -> float:
    return table.cost(len(batch), max(item.length for item in batch))


@settings(max_examples=300, deadline=None)
@given(tables(), mixes, st.integers(1, 4))
def test_never_slower_than_one_by_one(table: CostTable, lengths: list[int], lanes: int) -> None:
    batches = drain(Batcher(table, lanes=lanes, latency_target=1e9), queue_of(lengths))
    assert sorted(item.payload for batch in batches for item in batch) == list(range(len(lengths)))
    for batch in batches:
        assert price(table, batch) <= sum(table.alone(item.length) for item in batch) + 1e-12
    alone = sum(table.alone(length) for length in lengths)
    assert sum(price(table, batch) for batch in batches) <= alone + 1e-9


@settings(max_examples=200, deadline=None)
@given(tables(), mixes, st.lists(st.floats(0, 2), min_size=60, max_size=60))
def test_nobody_in_time_alone_is_late_in_a_batch(table: CostTable, lengths: list[int], limits: list[float]) -> None:
    waiting = queue_of(lengths)
    for item, limit in zip(list(waiting.by_length), limits, strict=False):
        item.limit = limit
    batch = Batcher(table, latency_target=1.0).choose(waiting, 0.0)
    if len(batch) > 1:
        for item in batch:
            limit = min(item.limit, 1.0)
            assert price(table, batch) <= limit or table.alone(item.length) > limit


@settings(max_examples=200, deadline=None)
@given(tables(), st.lists(st.tuples(st.integers(1, 128), st.sampled_from("abc")), min_size=3, max_size=80))
def test_whose_turn_it_is_gets_its_share(table: CostTable, items: list[tuple[int, str]]) -> None:
    """The tenant behind is in the next batch, and who rides along does not slow it below its part of the machine.
    (What they got may drift apart without end: riding along is cheap, and takes nothing from who is behind.)"""
    waiting = queue_of([length for length, _ in items], [tenant for _, tenant in items])
    batcher = Batcher(table, latency_target=1e9)
    while waiting:
        behind = min(waiting._queues, key=lambda tenant: (waiting.served[tenant], waiting._queues[tenant][0].order))
        batch = batcher.choose(waiting, 0.0)
        own = sum(table.alone(item.length) for item in batch if item.tenant == behind)
        assert own >= price(table, batch) / len(waiting._queues) - 1e-9
        for item in batch:
            waiting.take(item)
            waiting.serve(item.tenant, table.alone(item.length))


@settings(max_examples=200, deadline=None)
@given(tables(), mixes)
def test_the_oldest_is_always_served_next(table: CostTable, lengths: list[int]) -> None:
    waiting = queue_of(lengths)
    batcher = Batcher(table, latency_target=1e9)
    while waiting:
        oldest = min(item.order for item in waiting.by_length)
        batch = batcher.choose(waiting, 0.0)
        assert oldest in {item.order for item in batch}
        for item in batch:
            waiting.take(item)


GAINS = CostTable({1: {8: 1.0, 64: 8.0}, 2: {8: 1.2, 64: 15.0}, 4: {8: 2.0, 64: 30.0}}, 64)


def test_short_ones_share_a_batch_and_the_long_one_goes_alone() -> None:
    batches = drain(Batcher(GAINS, latency_target=1e9), queue_of([8, 64, 8, 8, 8]))
    assert [[item.payload for item in batch] for batch in batches] == [[0, 2, 3, 4], [1]]


def test_lanes_share_what_waits() -> None:
    batches = drain(Batcher(GAINS, lanes=2, latency_target=1e9), queue_of([8, 8, 8, 8]))
    assert [len(batch) for batch in batches] == [2, 1, 1]


def test_who_was_away_does_not_come_back_with_credit() -> None:
    waiting = queue_of([8, 8], ["busy", "busy"])
    waiting.serve("busy", 100.0)
    waiting.add(Item(8, "new", "new"))
    assert waiting.served["new"] == 100.0
    assert waiting.head().payload == 0


def test_order_alternates_between_tenants() -> None:
    waiting = queue_of([8, 8, 8, 8], ["a", "a", "a", "b"])
    assert [item.payload for item in waiting.in_order(lambda length: length)] == [0, 3, 1, 2]
