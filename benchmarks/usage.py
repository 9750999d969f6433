"""How long the usage page takes when a million requests are in the ledger.

python -m benchmarks.usage                  over throw-away servers, about two minutes
python -m benchmarks.usage --entries 100000

All of it was used in the last 90 days, with five models, by 60 people in 8 teams, in the browser and with a key each,
by some ten times as much as by others. `ledger_ms` is what the page's sums took without `UsageDay`: why there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.environment import commit, environment
from deepseek_web.launch.embedded import embedded

RESULT = Path(__file__).parent / "results" / "usage.json"
PAGES = {
    "organization_90": {"who": "organization", "range": "90", "by": "user"},
    "organization_30": {"who": "organization", "range": "30", "by": "user"},
    "organization_24h": {"who": "organization", "range": "24h", "by": "user"},
    "team_90": {"who": "team:1", "range": "90", "by": "user"},
    "person_90": {"who": "user:1001", "range": "90"},
}
FILL = """
INSERT INTO quotas_ledgerentry (at, source, kind, user_id, user_label, team_id, team_label, key_id, key_label,
  deployment, revision, requests, input_tokens, cached_tokens, output_tokens, compute_seconds, stored_bytes, cost,
  outcome)
SELECT now() - interval '90 days' * (1 - n::float / %s), 'request:' || n, 'text-generation', 1000 + person,
  'person' || person || '@example.com', 1 + person %% 8, 'Team ' || (1 + person %% 8),
  CASE WHEN n %% 3 = 0 THEN md5('key ' || person)::uuid END,
  CASE WHEN n %% 3 = 0 THEN 'key ' || person ELSE '' END, 'model-' || n %% 5, 'model-' || n %% 5 || '@1', 1,
  (random() * 900)::int, 0, (random() * 300)::int, random() * 4, 0, random() / 100, 'stop'
FROM (SELECT n, 1 + floor(random() * random() * 60)::int AS person FROM generate_series(1, %s) AS n) AS drawn
"""
# The sums of `reports.Usage` for the organisation, as they would be asked of the ledger.
_SUMS = "sum(requests), sum(input_tokens), sum(output_tokens), sum(compute_seconds), sum(stored_bytes), sum(cost)"
_RECENT = "FROM quotas_ledgerentry WHERE at >= now() - interval '90 days'"
FROM_THE_LEDGER = (
    f"SELECT (at AT TIME ZONE 'Europe/Berlin')::date, deployment, {_SUMS} {_RECENT} GROUP BY 1, 2",
    f"SELECT user_id, max(user_label), {_SUMS} {_RECENT} GROUP BY 1",
    f"SELECT extract(hour FROM at AT TIME ZONE 'Europe/Berlin'), sum(requests) {_RECENT} GROUP BY 1",
)


def run(entries: int, rounds: int) -> dict[str, Any]:
    from django.db import connection
    from django.test import Client

    from apps.accounts.models import Organization, Team, User
    from apps.quotas.models import UsageDay
    from apps.quotas.roll_up import roll_up

    Organization.objects.update_or_create(pk=1, defaults={"time_zone": "Europe/Berlin"})
    Team.objects.create(pk=1, name="Team 1")
    browser = Client()
    browser.force_login(User.objects.create_superuser("admin@example.com"))
    with connection.cursor() as cursor:
        cursor.execute(FILL, [entries, entries])
        cursor.execute("VACUUM ANALYZE quotas_ledgerentry")
    first = milliseconds(lambda: deque(iter(roll_up, True)))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE quotas_usageday")
        cursor.execute("VACUUM ANALYZE quotas_usagehour")
        ledger = statistics.median(milliseconds(lambda: ask(cursor, FROM_THE_LEDGER)) for _ in range(3))
    pages = {name: measure(browser, asked, rounds) for name, asked in PAGES.items()}
    summary = {
        "entries": entries,
        "rows_of_sums": UsageDay.objects.count(),
        "ledger_ms": round(ledger),
        "first_roll_up_ms": round(first),
        **{f"{name}_ms": page["ms"] for name, page in pages.items()},
        "queries": max(page["queries"] for page in pages.values()),
    }
    return {"summary": summary, "pages": pages}


def measure(browser: Any, asked: dict[str, str], rounds: int) -> dict[str, Any]:
    """Median of whole pages, of the time in the database, and the number of queries; the first is not counted."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    found = []
    for _ in range(rounds + 1):
        with CaptureQueriesContext(connection) as queries:
            page = milliseconds(lambda: browser.get("/usage/", asked))
        found.append((page, sum(1000 * float(query["time"]) for query in queries), len(queries)))
    pages, database, counts = zip(*found[1:], strict=True)
    return {
        "ms": round(statistics.median(pages), 1),
        "database_ms": round(statistics.median(database), 1),
        "queries": max(counts),
        "rounds_ms": [round(page, 1) for page in pages],
    }


def ask(cursor: Any, queries: tuple[str, ...]) -> None:
    for query in queries:
        cursor.execute(query)
        cursor.fetchall()


def milliseconds(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9, help="pages of each kind; the median is reported")
    arguments = parser.parse_args()
    with embedded() as servers:
        os.environ.update(servers.environment(), DJANGO_SETTINGS_MODULE="deepseek_web.settings", LOG_LEVEL="WARNING")
        import django
        from django.conf import settings
        from django.core.management import call_command

        django.setup()
        settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
        settings.ALLOWED_HOSTS = ["testserver"]
        call_command("migrate", verbosity=0)
        result = run(arguments.entries, arguments.rounds)
    result["environment"] = environment(("django", "psycopg"))
    result["command"] = " ".join(["python -m benchmarks.usage", *sys.argv[1:]])
    result["commit"] = commit()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["summary"], indent=2))


if __name__ == "__main__":
    main()
