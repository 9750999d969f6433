"""Fairness, prefill beside decode, and that nothing is ever lost."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.engine.scheduler import PrefillBudget


def test_a_long_prompt_is_prefilled_in_chunks_while_others_decode(make_bench):
    bench = make_bench(context_length=1024)
    bench.engine._budget.tokens = lambda *, decoding: 32
    bench.submit("a", [64], params={"max_tokens": 100})
    bench.step(2)
    bench.backend.calls.clear()
    bench.submit("b", list(range(200)))
    bench.step(3)

    assert bench.backend.calls == [("prefill", 32), ("decode", 1)] * 3


def test_a_short_question_does_not_wait_for_a_long_document(make_bench):
    bench = make_bench(context_length=2048)
    bench.engine._budget.tokens = lambda *, decoding: 32
    bench.engine._budget.seconds = lambda tokens: tokens / 100
    bench.submit("document", [index % 200 for index in range(1000)])
    bench.step(2)
    bench.submit("question", [64, 65])
    bench.step(2)

    assert "delta" in bench.kinds("question")
    assert "delta" not in bench.kinds("document")


def test_a_greedy_tenant_does_not_keep_others_out(make_bench):
    bench = make_bench(max_batch_size=1)
    for index in range(6):
        bench.submit(f"greedy-{index}", [64], params={"max_tokens": 10}, tenant="greedy")
    bench.step(2)
    bench.submit("modest", [64], params={"max_tokens": 10}, tenant="modest")
    bench.run()

    order = [event.request_id for event in bench.sink.events if event.event == "started"]
    assert order.index("modest") == 1


def test_two_tenants_get_equal_shares_of_tokens(make_bench):
    bench = make_bench(max_batch_size=1)
    for index in range(20):
        bench.submit(f"long-{index}", [64] * 40, params={"max_tokens": 30}, tenant="long", arrival_time=1.0)
        bench.submit(f"short-{index}", [64], params={"max_tokens": 5}, tenant="short", arrival_time=1.0)
    served: Counter[str] = Counter()
    while served["short"] < 100:
        bench.step()
        done = {event.request_id for event in bench.sink.events if event.event == "done"}
        served = Counter(
            {
                name: sum(request.startswith(name) for request in done) * size
                for name, size in (("long", 70), ("short", 6))
            }
        )

    # Apart by no more than one request of the long ones.
    assert abs(served["long"] - served["short"]) <= 75


def test_a_tenant_that_was_away_has_no_credit(make_bench):
    bench = make_bench(max_batch_size=1)
    for index in range(5):
        bench.submit(f"busy-{index}", [64], params={"max_tokens": 50}, tenant="busy")
    bench.step(120)
    for index in range(5):
        bench.submit(f"new-{index}", [64], params={"max_tokens": 10}, tenant="new")
    bench.run()

    order = [event.request_id for event in bench.sink.events if event.event == "started"]
    after = order[order.index("new-0") :]
    assert after.index("busy-3") < 5


@pytest.mark.parametrize(
    ("decode_seconds", "decoding", "expected"),
    [(0.01, True, 96), (0.01, False, 192), (0.15, True, 288), (0.15, False, 192), (10.0, True, 512)],
)
def test_the_budget_follows_the_machine(decode_seconds, decoding, expected):
    budget = PrefillBudget(seconds=0.1)
    for _ in range(100):
        budget.observe_prefill(64, 0.0639)  # a millisecond a token
        budget.observe_decode(decode_seconds)

    assert budget.tokens(decoding=decoding) == expected


Arrival = st.tuples(
    st.integers(1, 120),  # prompt tokens
    st.integers(1, 30),  # max_tokens
    st.integers(0, 6),  # steps before it arrives
    st.sampled_from(["x", "y", "z"]),  # tenant
    st.one_of(st.none(), st.integers(0, 10)),  # steps until it is aborted
    st.booleans(),  # fenced when aborted
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(arrivals=st.lists(Arrival, max_size=14))
def test_every_request_ends_exactly_once_and_every_slot_comes_back(make_bench, arrivals):
    bench = make_bench(slots=5, max_batch_size=3, context_length=128, max_waiting=8)
    aborts: dict[int, list[tuple[str, bool]]] = {}
    futures = {}
    step = 0
    for index, (prompt, tokens, delay, tenant, abort, fenced) in enumerate(arrivals):
        for _ in range(delay):
            step += 1
            _drop(bench, aborts.get(step, []))
            bench.step()
        name = f"r{index}"
        ids = [(index % 3 + position) % 200 for position in range(prompt)]
        futures[name] = (bench.submit(name, ids, params={"max_tokens": tokens}, tenant=tenant), ids, tokens)
        if abort is not None:
            aborts.setdefault(step + abort, []).append((name, fenced))
    for entries in aborts.values():
        _drop(bench, entries)
    bench.run()

    for name, (future, ids, tokens) in futures.items():
        outcome = future.result(0)
        kinds = bench.kinds(name)
        assert sum(kind in ("done", "error") for kind in kinds) == (0 if name in bench.sink.fenced else 1)
        made = bench.token_ids(name)
        # The right text, whatever rows it went through.
        assert made == [(ids[-1] + 1 + position) % 260 for position in range(len(made))]
        if outcome.finish_reason == "length":
            assert len(made) == min(tokens, 128 - len(ids))
    assert bench.engine._cache.held == 0
    assert bench.engine._cache.running == 0
    assert not bench.engine._mailbox.live()


def _drop(bench, entries):
    for name, fenced in entries:
        if not bench.engine.abort(name):
            continue
        if fenced:
            bench.sink.fenced.add(name)
