"""What the audit log is searched by: days are those of the person's time zone, `until` is the last that counts."""

from datetime import date, datetime, time, timedelta

from django.utils import timezone

from apps.audit.queries import Search

FIRST, LAST = date(1970, 1, 1), date(9000, 1, 1)


def search(*, words: str = "", kind: str = "", since: date | None = None, until: date | None = None) -> Search:
    return Search(
        words=words.replace("\x00", ""),
        kind=kind.replace("\x00", ""),
        since=_start(since) if since else None,
        until=_start(until + timedelta(days=1)) if until else None,
    )


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
