"""The bell, its panel and the page: what each shows to whom, and in how many queries."""

import itertools
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.notices.models import Kind, Level, Notice
from apps.notices.services import notify

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGE, PANEL, READ_ALL = (reverse(f"notices:{name}") for name in ("page", "panel", "read_all"))


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def tell(user: User, name: str, **fields: Any) -> Notice:
    notify(
        to=[user], kind=fields.get("kind", Kind.LIMIT), subject=f"user:{user.pk}:requests:{name}",
        message="{name} is nearly used up.", values={"name": name}, level=fields.get("level", Level.WARNING),
        link="/usage/",
    )  # fmt: skip
    return Notice.objects.get(reader=user, subject__endswith=f":{name}")


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_strangers_are_sent_to_the_door() -> None:
    assert Client().get(PAGE)["Location"] == f"{reverse('account_login')}?next={PAGE}"
    assert Client().get(PANEL, headers={"HX-Request": "true"}).status_code == 401


def test_one_sees_ones_own(owner: User, member: User) -> None:
    tell(owner, "Alpha")
    for address in (PAGE, PANEL):
        assert "Alpha is nearly used up." in text(browser(owner).get(address))
        assert "Alpha" not in text(browser(member).get(address))


def test_the_bell_is_on_every_page_and_says_how_much_is_unread(owner: User) -> None:
    client = browser(owner)
    assert 'aria-label="Notices"' in text(client.get(reverse("home:advisor")))
    tell(owner, "Alpha")
    assert 'aria-label="Notices, 1 unread"' in text(client.get(reverse("home:advisor")))
    client.post(READ_ALL)
    assert "1 unread" not in text(client.get(reverse("home:advisor")))


def test_the_bell_costs_one_query_on_an_index(owner: User) -> None:
    old = timezone.now() - timedelta(days=1)
    values = {"reader": owner, "kind": Kind.LIMIT, "message": "x", "created_at": old, "happened_at": old}
    Notice.objects.bulk_create(Notice(subject=n, read_at=old, **values) for n in range(2000))
    tell(owner, "Alpha")
    client = browser(owner)
    client.get(reverse("home:advisor"))
    with CaptureQueriesContext(connection) as asked:
        client.get(reverse("home:advisor"))
    mine = [one["sql"] for one in asked if "notices_notice" in one["sql"]]
    assert len(mine) == 1 and "LIMIT 100" in mine[0] and "COUNT" in mine[0]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notices_notice")
        cursor.execute(f"EXPLAIN {mine[0]}")
        assert "notice_unread" in str(cursor.fetchall())


@pytest.mark.parametrize("address", [PAGE, PANEL])
def test_1_and_30_notices_cost_the_same_queries(owner: User, address: str) -> None:
    client, costs = browser(owner), []
    client.get(address)
    for number in range(30):
        tell(owner, f"n{number}")
        if number in (0, 29):
            with CaptureQueriesContext(connection) as asked:
                assert client.get(address).status_code == 200
            costs.append(len(asked))
    assert costs[0] == costs[1]


def test_read_by_its_reader_only(owner: User, member: User) -> None:
    notice = tell(owner, "Alpha")
    address = reverse("notices:read", args=[notice.pk])
    assert browser(member).post(address).status_code == 404
    notice.refresh_from_db()
    assert notice.is_unread
    answer = browser(owner).post(address, headers={"HX-Request": "true"})
    notice.refresh_from_db()
    assert not notice.is_unread and "Mark as read" not in text(answer) and "Alpha" in text(answer)


def test_all_are_read_from_the_panel_and_from_the_page(owner: User, member: User) -> None:
    tell(owner, "Alpha")
    tell(member, "Beta")
    answer = browser(owner).post(READ_ALL, headers={"HX-Request": "true", "HX-Target": "notices-panel"})
    assert 'data-unread-now="0"' in text(answer) and "Mark all" not in text(answer)
    tell(owner, "Gamma")
    kept = browser(owner).post(READ_ALL, {"next": f"{PAGE}?kind=limit"})
    elsewhere = browser(owner).post(READ_ALL, {"next": "https://example.com/"})
    assert (kept["Location"], elsewhere["Location"]) == (f"{PAGE}?kind=limit", PAGE)
    assert list(Notice.objects.filter(read_at=None).values_list("reader", flat=True)) == [member.pk]


def test_filters(owner: User) -> None:
    read = tell(owner, "Alpha")
    Notice.objects.filter(pk=read.pk).update(read_at=timezone.now())
    tell(owner, "Beta")
    client = browser(owner)
    assert [("Alpha" in page, "Beta" in page) for page in (
        text(client.get(PAGE)), text(client.get(f"{PAGE}?unread=1")), text(client.get(f"{PAGE}?kind=limit")),
        text(client.get(f"{PAGE}?kind=job")), text(client.get(f"{PAGE}?kind=nonsense")),
    )] == [(True, True), (False, True), (True, True), (False, False), (True, True)]  # fmt: skip
    assert "No notice is like that" in text(client.get(f"{PAGE}?kind=job"))
    assert "Nothing has happened yet" not in text(client.get(f"{PAGE}?kind=job"))


def test_empty(stranger: User) -> None:
    assert "Nothing has happened yet" in text(browser(stranger).get(PAGE))
    assert "Nothing has happened." in text(browser(stranger).get(PANEL))


def test_pages_have_every_notice_once(owner: User) -> None:
    now = timezone.now()
    Notice.objects.bulk_create(
        # pairs of one moment
        Notice(
            reader=owner, kind=Kind.LIMIT, subject=f"user:{owner.pk}:a:{n}", message="Number {n}.", values={"n": n},
            created_at=now, happened_at=now - timedelta(hours=n // 2),
        )
        for n in range(65)
    )  # fmt: skip
    client, address, pages = browser(owner), PAGE, []
    while address:
        answer = client.get(address)
        pages.append([line.text for line in answer.context["lines"]])
        older = answer.context["older"]
        address = f"{PAGE}?{urlencode({'before': older})}" if older else ""
    assert [len(one) for one in pages] == [30, 30, 5]
    assert sorted(itertools.chain(*pages)) == sorted(f"Number {n}." for n in range(65))


@pytest.mark.parametrize("before", ["x", "2026-01-01_1", "2026-01-01T00:00:00+00:00_", "_", "2026-01-01T00:00:00Z_1e9"])
def test_what_is_no_place_is_the_first_page(owner: User, before: str) -> None:
    tell(owner, "Alpha")
    answer = browser(owner).get(PAGE, {"before": before})
    assert (answer.status_code, len(answer.context["lines"])) == (200, 1)


def test_what_is_gone_has_no_link_and_no_words(owner: User, member: User) -> None:
    notice = tell(owner, "Alpha")
    Notice.objects.filter(pk=notice.pk).update(subject=f"user:{member.pk}:requests:day")
    for address in (PAGE, PANEL):
        page = text(browser(owner).get(address))
        assert "Alpha" not in page and 'notice__go" href' not in page and "not shown to you any more" in page
