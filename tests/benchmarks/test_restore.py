"""The commands of the page on backups, as the benchmark takes them from it."""

from collections import Counter

from benchmarks.restore import HEADINGS, blocks, compared, pieces


def test_the_page_has_the_blocks_that_are_run() -> None:
    assert [len(blocks(heading)) for heading in HEADINGS.values()] == [2, 3]


def test_what_calls_make_is_run_by_itself() -> None:
    block = "BIN=$(where)\nA=1 make run        # starts\nmv var \\\n  var.old\nmake stop\nmake run\n"
    assert list(pieces(block)) == ["BIN=$(where)", "A=1 make run", "mv var    var.old", "make stop", "make run"]


def test_what_is_missing_or_other_is_named() -> None:
    before = rows(chat_message="abc", serving_lease="d", same="ee", serving_revision="f", audit_auditentry="g")
    after = rows(chat_message="ab", serving_lease="x", same="ee", serving_revision="y", audit_auditentry="gh", new="z")
    found = compared(before, after, {"media/1": "x", "env": "y"}, {"env": "z"}, {"serving_lease"})
    assert found["tables_different"] == ["chat_message", "new"]
    assert found["written_at_once"] == {
        "audit_auditentry": {"missing": 0, "more": 1}, "serving_revision": {"missing": 1, "more": 1},
    }  # fmt: skip
    assert found["rows_lost"] == 1
    assert (found["tables_that_moved"], found["of_people_among_them"]) == (["serving_lease"], [])
    assert found["files_different"] == ["env", "media/1"]


def rows(**digests: str) -> dict[str, Counter[str]]:
    """A letter for each row."""
    return {name: Counter(letters) for name, letters in digests.items()}
