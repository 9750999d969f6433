"""Searching the audit log."""

from datetime import timedelta

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.audit.queries import Search, older
from apps.audit.services import record


@pytest.fixture
def entries(owner: User, stranger: User) -> list[AuditEntry]:
    """Three, oldest first."""
    return [
        record(action="user.rename", target=owner, actor=owner, address="10.0.0.7"),
        record(action="user.lock", target=stranger, actor=owner, address="2001:db8::1"),
        record(action="user.lock", target=owner, part="guard"),
    ]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), [2, 1, 0]),
        (Search(words="LOCK"), [2, 1]),
        (Search(words="lock guard"), [2]),
        (Search(words="stranger"), [1]),
        (Search(words="10.0.0.7"), [0]),
        (Search(words="2001:DB8:0::1"), [1]),
        (Search(words="10.0.0"), []),
        (Search(words="100%_"), []),
        (Search(kind="user"), [2, 1, 0]),
        (Search(kind="job"), []),
    ],
)
def test_search(search: Search, found: list[int], entries: list[AuditEntry]) -> None:
    assert list(search.entries()) == [entries[place] for place in found]


def test_search_by_time_takes_the_start_and_not_the_end(entries: list[AuditEntry]) -> None:
    first, second, _ = entries
    assert list(Search(since=first.at, until=second.at).entries()) == [first]
    assert list(Search(since=second.at + timedelta(days=1)).entries()) == []


def test_pages_follow_each_other_without_gap_while_rows_arrive(entries: list[AuditEntry], owner: User) -> None:
    found = Search().entries()
    first = older(found, before=None, size=2)
    record(action="user.rename", target=owner)
    second = older(found, before=first[-1].pk, size=2)
    assert [*first, *second] == entries[::-1]


def test_words_have_an_index(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = Search(words="nightly").entries().order_by().explain()
    assert "audit_words" in plan
