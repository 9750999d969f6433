from __future__ import annotations

import pytest

from workers.backends.fake import FakeBackend
from workers.engine.kv_cache import KvCache


@pytest.fixture
def backend():
    return FakeBackend(slots=4, context_length=64, vocab_size=1000)


@pytest.fixture
def cache(backend):
    return KvCache(backend)


def fill(backend, slot, token_ids):
    """Prefills what is missing, as the engine would."""
    backend.prefill(slot.row, token_ids[len(slot.token_ids) :], len(slot.token_ids))
    slot.token_ids = list(token_ids)


def keep(backend, cache, token_ids):
    slot = cache.acquire([*token_ids, 0])
    fill(backend, slot, token_ids)
    cache.release(slot)
    return slot


def contents(backend, slot):
    return backend._rows[slot.row, : len(slot.token_ids)].tolist()


def test_the_next_turn_takes_its_own_slot(backend, cache):
    first = keep(backend, cache, list(range(20)))
    keep(backend, cache, list(range(100, 120)))

    slot = cache.acquire([*range(20), 50, 51])

    assert slot is first
    assert slot.token_ids == list(range(20))


def test_the_last_token_is_computed_again(backend, cache):
    keep(backend, cache, list(range(20)))

    assert cache.acquire(list(range(20))).token_ids == list(range(19))


def test_a_short_common_prefix_is_copied_and_the_other_conversation_kept(backend, cache):
    long = keep(backend, cache, list(range(60)))

    slot = cache.acquire([*range(10), 500])

    assert slot is not long
    assert slot.token_ids == list(range(10))
    assert contents(backend, slot) == list(range(10))
    assert contents(backend, long) == list(range(60))


def test_a_prefix_is_copied_from_a_running_request(backend, cache):
    running = cache.acquire(list(range(30)))
    fill(backend, running, list(range(30)))
    cache.start_decode(running)

    slot = cache.acquire([*range(30), 7, 8])

    assert slot is not running
    assert contents(backend, slot) == list(range(30))


def test_the_least_recently_used_goes_first(backend, cache):
    kept = [keep(backend, cache, list(range(start, start + 10))) for start in (0, 100, 200, 300)]
    cache.release(cache.acquire([*range(10), 1]))

    assert cache.acquire([900]) is kept[1]


def test_decoding_rows_stay_dense(backend, cache):
    slots = []
    for start in (0, 100, 200):
        slot = cache.acquire(list(range(start, start + 10)))
        fill(backend, slot, list(range(start, start + 10)))
        cache.start_decode(slot)
        slots.append(slot)

    cache.release(slots[0])

    assert sorted(slot.row for slot in slots[1:]) == [0, 1]
    assert cache.running == 2
    assert contents(backend, slots[1]) == list(range(100, 110))
    assert contents(backend, slots[2]) == list(range(200, 210))
    assert contents(backend, slots[0]) == list(range(10))


def test_nothing_is_free_when_all_are_held(cache):
    for start in range(4):
        assert cache.acquire([start]) is not None

    assert cache.acquire([9]) is None
    assert cache.held == 4
