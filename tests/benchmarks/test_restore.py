"""The commands of the page on backups, as the benchmark takes them from it."""

from benchmarks.restore import HEADINGS, blocks, compared, pieces


def test_the_page_has_the_blocks_that_are_run() -> None:
    assert [len(blocks(heading)) for heading in HEADINGS.values()] == [2, 3]


def test_what_calls_make_is_run_by_itself() -> None:
    block = "BIN=$(where)\nA=1 make run        # starts\nmv var \\\n  var.old\nmake stop\nmake run\n"
    assert list(pieces(block)) == ["BIN=$(where)", "A=1 make run", "mv var    var.old", "make stop", "make run"]


def test_what_is_missing_or_other_is_named() -> None:
    before = {"chat_message": (3, "a"), "serving_lease": (1, "b"), "same": (2, "c")}
    after = {"chat_message": (2, "d"), "serving_lease": (1, "e"), "same": (2, "c"), "new": (1, "f")}
    found = compared(before, after, {"media/1": "x", "env": "y"}, {"env": "z"}, {"serving_lease"})
    assert found["tables_different"] == ["chat_message", "new"]
    assert found["rows_lost"] == 1
    assert (found["tables_that_moved"], found["of_people_among_them"]) == (["serving_lease"], [])
    assert found["files_different"] == ["env", "media/1"]
