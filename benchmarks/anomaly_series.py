"""How long a chart waits for its series, from an hour to a year of one reading a second.

python -m benchmarks.anomaly charts                 a year: 31.5 million readings, about 10 minutes to fill
python -m benchmarks.anomaly charts --days 30       a month

What is timed is the whole answer of the page's address for 2,000 points, through Django with session and permissions,
JSON included: ready to be sent. `fill` is what storing takes without HTTP, in batches of 20,000, with the sums that
charts of long spans are drawn from.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from deepseek_web.launch.embedded import embedded

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
BATCH, POINTS, REPEATS = 20_000, 2000, 15
SPANS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}


def fill(days: int) -> tuple[Any, Any, float]:
    """An asset with one sensor, its owner, and readings stored a second."""
    from apps.accounts.models import User
    from apps.anomaly import assets, storing
    from apps.anomaly.points import Points

    owner = User.objects.create_superuser("owner@example.com")
    asset = assets.create(owner=owner, name="Press")
    sensor = assets.add_sensor(asset=asset, key="bearing", interval=1.0, keep_days=None)
    random, count = np.random.default_rng(0), days * 86_400
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        times = BEGIN.timestamp() + np.arange(first, min(first + BATCH, count))
        values = 60 + 10 * np.sin(times * 2 * np.pi / 86_400) + random.normal(size=len(times))
        storing.store_readings(asset=asset, points=Points.of(np.full(len(times), sensor.pk), times, values))
    return owner, asset, count / (time.perf_counter() - began)


def drawn(owner: Any, asset: Any, days: int) -> dict[str, Any]:
    """Milliseconds of the answer for each span that there is, from its newest part, and how it was read."""
    from django.test import Client
    from django.urls import reverse

    client = Client(SERVER_NAME="localhost")
    client.force_login(owner)
    end, found = BEGIN + timedelta(days=days), {}
    for name, span in SPANS.items():
        if span > days:
            continue
        query = {"begin": (end - timedelta(days=span)).timestamp(), "end": end.timestamp(), "points": POINTS}
        times = []
        for turn in range(REPEATS + 1):
            began = time.perf_counter()
            answer = client.get(reverse("anomaly:series", args=[asset.pk]), query)
            if turn:  # the first warms up, the process as well as the cache
                times.append(1000 * (time.perf_counter() - began))
        series = answer.json()["sensors"][0]
        found[name] = {
            "p50_ms": round(float(np.percentile(times, 50)), 1), "p95_ms": round(float(np.percentile(times, 95)), 1),
            "readings": series["count"], "level": series["level"], "points": len(series["times"]),
            "bytes": len(answer.content),
        }  # fmt: skip
        print(name, found[name], flush=True)
    return found


def measure(days: int) -> dict[str, Any]:
    """On servers of its own, in this process: Django is set up here."""
    with embedded() as servers:
        os.environ.update(servers.environment(), DJANGO_SETTINGS_MODULE="deepseek_web.settings", LOG_LEVEL="WARNING")
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0)
        owner, asset, rate = fill(days)
        print(f"{rate:.0f} readings/s", flush=True)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as autovacuum does behind a day of readings
            cursor.execute("SELECT pg_database_size(current_database())")
            size = cursor.fetchone()[0]
        spans = drawn(owner, asset, days)
    return {
        "days": days, "readings": days * 86_400, "fill_per_s": round(rate), "database_bytes": size, "points": POINTS,
        "spans": spans,
    }  # fmt: skip
