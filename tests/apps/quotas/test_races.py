"""A hundred at once, from two processes, against a limit of thirty."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from apps.quotas.models import Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import set_limit

ROOT = Path(settings.BASE_DIR)


def start(user_id: int) -> "subprocess.Popen[str]":
    """A process with a hundred threads' half: it waits for a line before they begin."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.apps.quotas.taker", str(user_id)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "DATABASE_URL": database},
    )  # fmt: skip


@pytest.mark.integration
@pytest.mark.parametrize("scope", [Scope.USER, Scope.ORGANIZATION])
@pytest.mark.parametrize(
    ("metric", "window", "amount"),
    [
        (Metric.REQUESTS, Window.MINUTE, 30),
        (Metric.REQUESTS, Window.MONTH, 30),
        (Metric.INPUT_TOKENS, Window.HOUR, 30 * 7 + 6),
        (Metric.OUTPUT_TOKENS, Window.DAY, 30 * 11),
        (Metric.COMPUTE_SECONDS, Window.MINUTE, 30),
        (Metric.STORED_BYTES, Window.NOW, 30 * 13),
        (Metric.CONCURRENT_REQUESTS, Window.NOW, 30),
    ],
)
def test_exactly_thirty_of_a_hundred_pass(
    transactional_db: None, owner: Any, metric: Metric, window: Window, amount: int, scope: Scope
) -> None:
    subject = str(owner.pk) if scope == Scope.USER else ""
    set_limit(scope=scope, subject=subject, metric=metric, window=window, amount=amount, actor=None)
    processes = [start(owner.pk) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(said) == 30
    [use] = limits_with_use(scope, subject)
    assert use.used == 30 * (amount // 30)
