"""The audit page and its CSV."""

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.console import audit_csv, history

APPS = Path(history.__file__).parents[1]


def page(browser: Client, **asked: str) -> str:
    return browser.get(reverse("console:audit"), asked).content.decode()


def rows(browser: Client, **asked: str) -> list[list[str]]:
    answer = browser.get(reverse("console:audit_csv"), asked)
    text = async_to_sync(_text)(answer).decode("utf-8-sig")
    return list(csv.reader(text.splitlines(), quoting=csv.QUOTE_MINIMAL))


async def _text(answer: Any) -> bytes:
    return b"".join([part async for part in answer.streaming_content])


def test_days_are_those_of_the_person(browser: Client, administrator: AbstractBaseUser) -> None:
    record(action="user.rename", target=administrator)
    today = timezone.localdate()
    assert "user.rename" in page(browser, since=str(today), until=str(today))
    assert "Nothing matches" in page(browser, until=str(today - timedelta(days=1)))
    browser.cookies["tz"] = "Pacific/Kiritimati"  # fourteen hours ahead
    there = timezone.localdate(timezone=timezone.get_fixed_timezone(14 * 60))
    assert "user.rename" in page(browser, since=str(there))


@pytest.mark.parametrize(
    "asked", [{"since": "soon"}, {"until": "9999-12-31"}, {"before": "x"}, {"q": "a\0b"}, {"q": "%"}]
)
def test_nonsense_is_no_error(asked: dict[str, str], browser: Client) -> None:
    assert browser.get(reverse("console:audit"), asked).status_code == 200


def test_pages_go_back_to_the_first_entry(browser: Client, administrator: AbstractBaseUser) -> None:
    for number in range(120):
        record(action=f"user.act{number}", target=administrator, actor=administrator)
    seen, link = [], "?q=act"
    while link:
        text = browser.get(reverse("console:audit") + link).content.decode()
        seen += re.findall(r"user\.act(\d+)", text)
        later = re.search(r'href="(\?[^"]*before=\d+)"', text)
        link = later[1].replace("&amp;", "&") if later else ""
    assert seen == [str(number) for number in reversed(range(120))]


def test_a_deep_page_takes_as_many_queries_as_the_first(browser: Client, administrator: AbstractBaseUser) -> None:
    for _ in range(120):
        record(action="user.act", target=administrator, actor=administrator)
    last = AuditEntry.objects.order_by("pk")[20].pk
    counts = []
    for asked in ({}, {"before": last}):
        browser.get(reverse("console:audit"), asked)
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse("console:audit"), asked)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_csv_has_what_matches_and_is_written_down(browser: Client, administrator: AbstractBaseUser) -> None:
    first = record(action="user.rename", target=administrator, actor=administrator, address="10.0.0.7", name=["", "Li"])
    record(action="user.lock", target=administrator, part="guard")
    found = rows(browser, q="rename")
    assert found == [
        list(audit_csv.HEAD),
        [
            first.at.isoformat(), "owner@example.com", "user.rename", "user", str(administrator.pk),
            "owner@example.com", "10.0.0.7", '{"name": ["", "Li"]}',
        ],
    ]  # fmt: skip
    newest = AuditEntry.objects.order_by("-pk")[0]
    assert (newest.action, newest.actor_label, newest.data) == ("audit.export", "owner@example.com", {"q": "rename"})


def test_csv_of_many_batches_has_every_entry_once(
    browser: Client, administrator: AbstractBaseUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_csv, "_BATCH", 7)
    for number in range(30):
        record(action=f"user.act{number}", target=administrator)
    assert [row[2] for row in rows(browser, q="act")[1:]] == [f"user.act{number}" for number in reversed(range(30))]


@pytest.mark.parametrize(
    "value", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠SUM(A1)"]
)
def test_a_formula_is_shown_and_not_run(value: str) -> None:
    assert audit_csv.harmless(value) == f"'{value}"
    assert audit_csv.harmless(f"a{value}") == f"a{value}"


def test_every_act_that_is_written_down_is_told_in_a_sentence(fill: Callable[[int], None]) -> None:
    """A new action needs one in apps/console/history.py; without it the page shows the action's bare name."""
    recorded = {
        name
        for path in APPS.rglob("*.py")
        for name in re.findall(r'(?:action=|_say\()"([a-z_]+\.[a-z_]+)"', path.read_text())
    }
    assert "apikey.create" in recorded
    assert recorded - set(history._SENTENCES) == set()
