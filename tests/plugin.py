"""Servers for the tests, started before pytest-django reads the settings (hence not in conftest.py).

Processes of xdist share the servers and have each a Redis database and a PostgreSQL database of their own.
"""

import os
from collections.abc import Iterator

import pytest

from deepseek_web.launch.embedded import Embedded
from deepseek_web.launch.prepare import compile_messages

# The user's own settings must not decide whether tests pass.
FOREIGN = ("DEBUG", "HTTPS", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SIGNUP_OPEN", "TIME_ZONE", "PORT", "HOST", "VAR",
           "ARTIFACT_STORE")  # fmt: skip

# The models are so small that a second thread costs more than it computes, and far more where processors are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

servers: Embedded | None = None


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        base, _, _ = os.environ["REDIS_URL"].rpartition("/")
        os.environ["REDIS_URL"] = f"{base}/{int(worker.removeprefix('gw')) + 1}"
    else:
        start_servers()
    return (yield)


def start_servers() -> None:
    global servers
    for name in FOREIGN:
        os.environ.pop(name, None)
    compile_messages()  # some tests read Chinese, which comes from files that are made
    servers = Embedded()
    servers.start()
    os.environ.update(servers.environment())


def pytest_unconfigure() -> None:
    if servers is not None:
        servers.stop()
