from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.stop_strings import StopStrings


def test_a_stop_string_across_pieces_never_shows():
    stop = StopStrings(["END"])

    assert [stop.push(piece) for piece in ("one E", "N", "Dtwo", "three")] == ["one ", "", "", ""]
    assert stop.stopped
    assert stop.flush() == ""


def test_what_only_looked_like_one_comes_out():
    stop = StopStrings(["END"])

    assert [stop.push(piece) for piece in ("E", "N", "E", "x")] == ["", "", "EN", "Ex"]
    assert not stop.stopped


def test_the_beginning_of_one_comes_out_at_the_end():
    stop = StopStrings(["\n\n"])

    assert stop.push("line\n") == "line"
    assert stop.flush() == "\n"


@pytest.mark.parametrize("stops", [["b", "ab"], ["ab", "b"]])
def test_the_one_that_begins_first_counts(stops):
    assert StopStrings(stops).push("xab") == "x"


@given(st.lists(st.text("abc", max_size=4), max_size=12), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_pieces_make_no_difference(pieces, stops):
    matcher = StopStrings(stops)
    shown = "".join(matcher.push(piece) for piece in pieces) + matcher.flush()

    text = "".join(pieces)
    ends = [len(piece) for piece in pieces]
    complete = [sum(ends[: index + 1]) for index in range(len(ends))]
    # The earliest piece after which a stop string is complete decides; within it the earliest begin.
    for end in complete:
        found = [at for at in (text[:end].find(stop) for stop in stops) if at >= 0]
        if found:
            assert (shown, matcher.stopped) == (text[: min(found)], True)
            return
    assert (shown, matcher.stopped) == (text, False)
