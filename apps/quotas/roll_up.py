"""The ledger summed up by day, so that a page costs the same whether a day had ten requests or ten thousand.

Measured with a million entries (benchmarks/usage.py): from the ledger alone the page took seconds. Nothing is added to
the way of a request: whoever looks at usage, and a task each minute, sums up what is new since the last time.
"""

from django.db import OperationalError, connection, transaction

from apps.accounts.models import Organization
from apps.quotas.models import LedgerEntry, RollUp, UsageDay, UsageHour

_PATIENCE = "200ms"  # for entries that are being written


def roll_up() -> int:
    """Sum up the entries that are not in the sums yet; how many there were. All of them anew after a change of the
    organisation's time zone, since days begin elsewhere then. Exact however many call it at once."""
    newest = _newest()
    zone = Organization.current().time_zone
    RollUp.objects.get_or_create(pk=1)
    with transaction.atomic():
        done = RollUp.objects.select_for_update().get(pk=1)
        if done.time_zone != zone:
            _forget(done, zone)
        if newest is None or newest <= done.last_id:
            return 0
        count = _add(zone, done.last_id, newest)
        done.last_id = newest
        done.save()
    return count


def _newest() -> int | None:
    """The id up to which every entry is committed. Numbers are given out before they are committed, so the highest that
    is seen may have smaller ones still to come: the lock waits for those that are being written, for a moment only.
    None when that took too long: the sums stay as they are until the next time."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            cursor.execute("LOCK TABLE quotas_ledgerentry IN SHARE MODE")
            return LedgerEntry.objects.order_by("-pk").values_list("pk", flat=True).first()
    except OperationalError:
        return None


def _forget(done: RollUp, zone: str) -> None:
    UsageDay.objects.all().delete()
    UsageHour.objects.all().delete()
    done.last_id, done.time_zone = 0, zone
    done.save()


def _add(zone: str, after: int, until: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, [zone, after, until])
        cursor.execute(_HOURS, [zone, after, until])
    return LedgerEntry.objects.filter(pk__gt=after, pk__lte=until).count()


_SUMS = ("requests", "input_tokens", "output_tokens", "compute_seconds", "stored_bytes", "cost")
_LABELS = ("team_label", "user_label", "key_label")
_DAYS = f"""
INSERT INTO quotas_usageday (day, team_id, user_id, key_id, deployment, {", ".join(_LABELS + _SUMS)})
SELECT (at AT TIME ZONE %s)::date, team_id, user_id, key_id, deployment,
       {", ".join(f"max({name})" for name in _LABELS)}, {", ".join(f"sum({name})" for name in _SUMS)}
FROM quotas_ledgerentry WHERE id > %s AND id <= %s
GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (day, team_id, user_id, key_id, deployment) DO UPDATE SET
  {", ".join(f"{name} = excluded.{name}" for name in _LABELS)},
  {", ".join(f"{name} = quotas_usageday.{name} + excluded.{name}" for name in _SUMS)}
"""
_HOURS = """
INSERT INTO quotas_usagehour (day, hour, scope, subject, requests)
SELECT moment::date, extract(hour FROM moment), scope, subject, sum(requests)
FROM (
  SELECT at AT TIME ZONE %s AS moment, requests, team_id, user_id, key_id
  FROM quotas_ledgerentry WHERE id > %s AND id <= %s AND requests > 0
) AS fresh
CROSS JOIN LATERAL (
  VALUES ('organization', ''), ('team', team_id::text), ('user', user_id::text), ('key', key_id::text)
) AS whose (scope, subject)
WHERE subject IS NOT NULL
GROUP BY 1, 2, 3, 4
ON CONFLICT (scope, subject, day, hour) DO UPDATE SET requests = quotas_usagehour.requests + excluded.requests
"""
