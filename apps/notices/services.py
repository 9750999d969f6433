"""Telling people what they will want to know when they come back, marking it read, forgetting it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone, translation

from apps.accounts.models import User
from apps.notices.models import Kind, Level, Notice
from apps.notices.permissions import own_notices
from apps.notices.queries import unread_of
from apps.serving.events import tell_each

log = structlog.get_logger()

TOGETHER = timedelta(hours=1)  # for so long more of the same subject is added to the notice that is there
KEPT = timedelta(days=90)
_LONGEST = 400  # characters of a value


@transaction.atomic
def notify(
    *, to: Iterable[User | int], kind: Kind, subject: object, message: str, values: Mapping[str, Any] | None = None,
    level: Level = Level.INFO, link: str = "",
) -> None:  # fmt: skip
    """One notice to each, and word of it to their open tabs on commit.

    `message` is a text of the catalogue (gettext_noop) with fields in braces, `values` what they hold: names, numbers,
    moments, `in_each_language(...)`, and as `reason` a sentence that apps/serving/sentences.py knows. Who has a notice
    of the same kind and subject that is younger than TOGETHER gets no second one: the newest is told there, counted and
    unread. Two that are told at the same moment may stay two.
    """
    readers = {one if isinstance(one, int) else one.pk for one in to}
    now = timezone.now()
    said = {
        "level": level, "message": message, "values": {name: _stored(value) for name, value in (values or {}).items()},
        "link": link, "happened_at": now, "read_at": None,
    }  # fmt: skip
    same = Notice.objects.filter(kind=kind, subject=str(subject), reader__in=readers, created_at__gt=now - TOGETHER)
    known = dict(same.order_by("created_at").values_list("reader_id", "pk"))
    if known:
        Notice.objects.filter(pk__in=known.values()).update(times=F("times") + 1, **said)
    Notice.objects.bulk_create(
        Notice(reader_id=reader, kind=kind, subject=str(subject), created_at=now, **said)
        for reader in sorted(readers - known.keys())
    )
    transaction.on_commit(lambda: _tell(readers, is_new=True))


def in_each_language(said: Callable[[], str]) -> dict[str, str]:
    """A value whose words depend on the language, in all of them."""
    found = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            found[language] = str(said())
    return found


def mark_read(*, notice: Notice) -> bool:
    """Its reader's other tabs hear of it. False when it was read."""
    if not Notice.objects.filter(pk=notice.pk, read_at=None).update(read_at=timezone.now()):
        return False
    notice.refresh_from_db()
    transaction.on_commit(lambda: _tell([notice.reader_id], is_new=False))
    return True


def mark_all_read(*, reader: User) -> int:
    """How many there were."""
    count = own_notices(reader).filter(read_at=None).update(read_at=timezone.now())
    if count:
        transaction.on_commit(lambda: _tell([reader.pk], is_new=False))
    return count


def remove_old(now: datetime) -> int:
    """Those that are older than KEPT."""
    return Notice.objects.filter(happened_at__lt=now - KEPT).delete()[0]


def _tell(readers: Iterable[int], *, is_new: bool) -> None:
    """How many each has not read. Without Redis the next page tells."""
    counts = unread_of(readers)
    try:
        tell_each([(reader, {"type": "notice", "unread": n, "new": is_new}) for reader, n in counts.items()])
    except redis.RedisError as error:
        log.warning("nobody told of a notice", error=str(error))


def _stored(value: Any) -> Any:
    """queries.py reads it back."""
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    return value[:_LONGEST] if isinstance(value, str) else value
