"""The ledger summed up by day, so that a page costs the same whether a day had ten requests or ten thousand.

Measured with a million entries (benchmarks/usage.py): from the ledger alone the page took seconds. Nothing is added to
the way of a request: whoever looks at usage, and a task each minute, sums up what is new since the last time.
"""

from django.db import OperationalError, connection, transaction

from apps.accounts.models import Organization
from apps.quotas.models import LedgerEntry, RollUp, UsageDay, UsageHour

_PATIENCE = "200ms"  # for entries that are being written, and for others who sum up
AT_ONCE = 100_000  # entries in one transaction
WHILE_ASKED = 20_000  # entries that whoever looks may have to wait for


def roll_up(most: int = AT_ONCE) -> bool:
    """Sum up the entries that are not in the sums yet, `most` at once; whether that were all. All of them anew after a
    change of the organisation's time zone, since days begin elsewhere then. Exact however many call it at once."""
    newest = _newest()
    if newest is None:
        return True  # for the moment: what is being written is seen the next time
    RollUp.objects.get_or_create(pk=1)
    try:
        with transaction.atomic():
            return _sum_up(newest, most)
    except OperationalError:
        return False


def _sum_up(newest: int, most: int) -> bool:
    """Raises OperationalError when somebody else is at it."""
    _wait_for_a_moment_only()
    done = RollUp.objects.select_for_update().get(pk=1)
    zone = Organization.current().time_zone
    if done.time_zone != zone:
        _forget(done, zone)
    until = min(newest, done.last_id + most)
    if until > done.last_id:
        with connection.cursor() as cursor:
            cursor.execute(_DAYS, [zone, done.last_id, until])
            cursor.execute(_HOURS, [zone, done.last_id, until])
        done.last_id = until
        done.save()
    return until >= newest


def _newest() -> int | None:
    """The id up to which every entry is committed. Numbers are given out before they are committed, so the highest that
    is seen may have smaller ones still to come: the lock waits for those that are being written. None when that took
    too long."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            _wait_for_a_moment_only()
            cursor.execute("LOCK TABLE quotas_ledgerentry IN SHARE MODE")
            return LedgerEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    except OperationalError:
        return None


def _wait_for_a_moment_only() -> None:
    """For locks, in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")


def _forget(done: RollUp, zone: str) -> None:
    UsageDay.objects.all().delete()
    UsageHour.objects.all().delete()
    done.last_id, done.time_zone = 0, zone
    done.save()


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
