"""A hundred at once, from two processes, against a limit of thirty."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import pytest
from django.db import connections

from apps.quotas import limits
from apps.quotas.admission import LimitReached
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import reserve, set_limit
from apps.quotas.usage import Account, Amounts, account_of
from apps.serving import connection

_EACH = Amounts(requests=1, input_tokens=7, output_tokens=11, compute_ms=1000, stored_bytes=13)


def _take(account: Account, name: str) -> bool:
    try:
        reserve(account=account, source=f"request:{name}", amounts=_EACH, kind="text-generation")
        return True
    except LimitReached:
        return False
    finally:
        connections.close_all()


def _process(account: Account, name: str, told: Connection) -> None:
    """Fifty threads of a process of its own: nothing of the parent's connections is used."""
    connection.client.cache_clear()
    limits.MAX_AGE, limits._latest = 1.0, limits.Snapshot()
    with ThreadPoolExecutor(50) as pool:
        told.send(sum(pool.map(lambda place: _take(account, f"{name}{place}"), range(50))))
    os._exit(0)  # what pytest would do at its end is the parent's


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
    account = account_of(owner)
    connections.close_all()
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in range(2)]
    processes = [fork.Process(target=_process, args=(account, "ab"[i], pipes[i][1])) for i in range(2)]
    for process in processes:
        process.start()
    admitted = [mine.recv() for mine, _ in pipes]
    for process in processes:
        process.join(10)
    assert sum(admitted) == 30
    [use] = limits_with_use(scope, subject)
    assert use.used == 30 * (amount // 30)
