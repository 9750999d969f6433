"""APIs leave their requests in the broker's lists themselves."""

import threading
from collections.abc import Iterator

import pytest

from tests.fakes import FakeWorker


@pytest.fixture
def worker(worker: FakeWorker) -> Iterator[FakeWorker]:
    """The worker for `echo`, taking messages as Celery would."""
    stop = threading.Event()
    taking = threading.Thread(target=worker.serve_queues, args=(stop,))
    taking.start()
    yield worker
    stop.set()
    taking.join(5)
