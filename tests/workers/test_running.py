"""Only so many requests at a time, and one attempt of each."""

import threading

import pytest

from workers.running import Running, WouldWait


def enter_in_thread(running, *args):
    entered = []
    thread = threading.Thread(target=lambda: entered.append(running.enter(*args)))
    thread.start()
    thread.join(0.1)
    return thread, entered


def test_who_comes_when_it_is_full_waits_for_room():
    running = Running(1)
    running.enter("a", 1, print)
    thread, entered = enter_in_thread(running, "b", 1, print)
    assert entered == []
    running.leave("a")
    thread.join(10)
    assert entered == [running.places["b"]]


def test_same_attempt_has_one_place():
    running = Running(2)
    running.enter("a", 1, print)
    aborted = []
    assert running.enter("a", 1, aborted.append) is None
    assert (aborted, len(running.places)) == ([], 1)
    running.leave("a")
    assert running.enter("a", 1, print) is not None


def test_later_attempt_aborts_the_earlier_one_and_waits_for_it():
    running, aborted = Running(1), []
    running.enter("a", 1, print)
    thread, entered = enter_in_thread(running, "a", 2, aborted.append)
    assert (aborted, entered) == (["a"], [])
    running.leave("a")
    thread.join(10)
    assert (entered[0].attempt, running.places) == (2, {"a": entered[0]})


def test_stop_is_kept_for_who_submits():
    running = Running(1)
    place = running.enter("a", 1, print)
    running.stop("a")
    running.stop("nobody")
    assert place.is_stopped


def test_who_may_not_wait_is_told_and_leaves_nothing_behind():
    running = Running(1)
    running.enter("a", 1, print)
    for request_id, attempt in (("b", 1), ("a", 2)):  # no room; an earlier attempt that still runs
        with pytest.raises(WouldWait):
            running.enter(request_id, attempt, print, may_wait=False)
    assert list(running.places) == ["a"]
    running.leave("a")
    assert running.enter("b", 1, print, may_wait=False) is running.places["b"]
