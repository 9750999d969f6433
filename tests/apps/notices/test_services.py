"""A notice to each who is to know: counted instead of repeated, told to open tabs, read, forgotten."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone, translation
from django.utils.translation import gettext

from apps.accounts.models import APIKey, User
from apps.notices import queries, services, tending
from apps.notices.models import Kind, Level, Notice
from apps.serving import connection
from contracts import names

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def tell(
    *to: User, subject: object = 1, message: str = "{name} was imported.", level: Level = Level.INFO, **values: Any
) -> None:
    values = {"name": "Echo", **values}
    services.notify(to=to, kind=Kind.JOB, subject=subject, message=message, level=level, values=values)


def heard(user: User) -> list[dict[str, Any]]:
    rows = connection.client().xrange(names.user_events_key(user.pk))
    return [json.loads(fields["data"]) for _, fields in rows]


def aged(**by: float) -> None:
    then = timezone.now() - timedelta(**by)
    Notice.objects.update(created_at=then, happened_at=then)


def test_each_has_a_row_of_their_own(owner: User, member: User, stranger: User) -> None:
    tell(owner, member, owner)
    rows = Notice.objects.order_by("reader").values_list("reader", "kind", "level", "values", "times", "read_at")
    assert list(rows) == [(one.pk, "job", "info", {"name": "Echo"}, 1, None) for one in (owner, member)]
    assert (queries.unread(owner), queries.unread(stranger)) == (1, 0)


def test_more_within_an_hour_is_counted_and_unread_again(owner: User, member: User) -> None:
    tell(owner)
    services.mark_all_read(reader=owner)
    tell(owner, member, message="The import of {name} failed: {reason}", reason="No.", level=Level.ERROR)
    mine, theirs = Notice.objects.get(reader=owner), Notice.objects.get(reader=member)
    assert (mine.times, mine.level, mine.is_unread, mine.values["reason"]) == (2, "error", True, "No.")
    assert mine.happened_at > mine.created_at and theirs.times == 1


@pytest.mark.parametrize("other", [{"subject": 2}, {"hours": 1.1}])
def test_another_subject_or_a_later_hour_is_another_notice(owner: User, other: dict[str, Any]) -> None:
    tell(owner)
    aged(hours=other.pop("hours", 0))
    tell(owner, **other)
    assert list(Notice.objects.values_list("times", flat=True)) == [1, 1]


def test_open_tabs_hear_how_much_is_unread(owner: User, member: User, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        tell(owner, member)
        tell(owner, subject=2)
    with django_capture_on_commit_callbacks(execute=True):
        services.mark_read(notice=Notice.objects.filter(reader=owner)[0])
    said = {"type": "notice", "new": True}
    assert heard(owner) == [{**said, "unread": 2}, {**said, "unread": 2}, {**said, "unread": 1, "new": False}]
    assert heard(member) == [{**said, "unread": 1}]


def test_without_redis_a_notice_is_there_all_the_same(
    owner: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(_messages: object) -> None:
        raise connection.redis.ConnectionError

    monkeypatch.setattr(services, "tell_each", away)
    with django_capture_on_commit_callbacks(execute=True):
        tell(owner)
    assert queries.unread(owner) == 1


def test_read_once(owner: User) -> None:
    tell(owner)
    notice = Notice.objects.get()
    assert services.mark_read(notice=notice) and not services.mark_read(notice=notice)
    assert services.mark_all_read(reader=owner) == 0


def test_words_are_the_readers(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(pk=owner.pk).update(role="owner")
    words = {"{name}: {what}, {reason}": "{name}：{what}，{reason}"}
    monkeypatch.setattr(queries, "gettext", lambda text: words.get(text, text) if _is_chinese() else text)
    monkeypatch.setattr(queries, "translated", lambda text: "任务已取消。" if _is_chinese() else text)
    monkeypatch.setattr(queries, "still_shown", lambda user, rows: {row.pk for row in rows})
    what = {"en": "unusual values", "zh-hans": "数值异常"}
    tell(owner, message="{name}: {what}, {reason}", name="{0} %s", what=what, reason="The job was cancelled.")
    assert queries.lines(owner, Notice.objects.all())[0].text == "{0} %s: unusual values, The job was cancelled."
    with translation.override("zh-hans"):
        assert queries.lines(owner, Notice.objects.all())[0].text == "{0} %s：数值异常，任务已取消。"


def _is_chinese() -> bool:
    return translation.get_language() == "zh-hans"


def test_a_value_is_told_in_each_language() -> None:
    found = services.in_each_language(lambda: gettext("Jobs"))
    assert set(found) == {"en", "zh-hans"} and found["en"] == "Jobs"


def test_no_more_than_a_hundred_are_counted(owner: User) -> None:
    now = timezone.now()
    Notice.objects.bulk_create(
        Notice(reader=owner, kind="job", subject=n, message="x", created_at=now, happened_at=now) for n in range(103)
    )
    assert queries.unread(owner) == queries.MOST + 1


def test_old_ones_are_removed(owner: User) -> None:
    tell(owner)
    aged(days=91)
    tell(owner, subject=2)
    tending.tend(timezone.now())
    assert list(Notice.objects.values_list("subject", flat=True)) == ["2"]


def key(owner: User, name: str, **fields: Any) -> APIKey:
    now = timezone.now()
    made = APIKey.objects.create(owner=owner, name=name, digest=name, scopes=[], **fields)
    APIKey.objects.filter(pk=made.pk).update(created_at=now - timedelta(days=30))
    return made


def test_keys_that_end_soon_are_told_once(owner: User, member: User) -> None:
    now = timezone.now()
    soon, later = now + timedelta(days=3), now + timedelta(days=8)
    key(owner, "soon", expires_at=soon)
    key(owner, "later", expires_at=later)
    key(owner, "never")
    key(owner, "gone", expires_at=soon, revoked_at=now)
    key(owner, "successor", replaces=key(owner, "rotated", expires_at=soon))
    APIKey.objects.create(owner=owner, name="for a day", digest="d", scopes=[], expires_at=soon)
    for _ in range(2):
        tending.tend(now)
    (line,) = queries.lines(owner, Notice.objects.all())
    assert line.text.startswith("The API key soon ends on ") and str(soon.year) in line.text
    assert (line.link, line.notice.level) == ("/keys/", "warning")
