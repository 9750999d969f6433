"""What every test may ask for: three people, and the path of a browser."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import connections
from django.utils import translation

from tests import emptying

if TYPE_CHECKING:
    from tests.buckets import TestBucket

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "no Chromium: browser tests skipped (Debian: apt install chromium; `make test` does that as root)"


# Installations, exports, trainings: what is begun last should end soon.
LONG = ("tests/deepseek_web/launch/", "tests/workers/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_configure() -> None:
    # Argon2 is slow on purpose; file names with hashes need `collectstatic` first.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """In asynchronous tests all synchronous code runs in one thread of asgiref, whose connection nobody closes: the
    database could not be dropped."""
    emptying.install()
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(autouse=True)
def default_language() -> None:
    """A request leaves its language behind in the thread that it ran in; no test begins with that of another."""
    translation.activate(settings.LANGUAGE_CODE)


def create_user(email: str) -> AbstractBaseUser:
    return get_user_model().objects.create_user(email, "correct horse battery staple")


@pytest.fixture
def owner(db: None) -> AbstractBaseUser:
    """Whose things they are."""
    return create_user("owner@example.com")


@pytest.fixture
def member(db: None) -> AbstractBaseUser:
    """Somebody of the same organisation."""
    return create_user("member@example.com")


@pytest.fixture
def stranger(db: None) -> AbstractBaseUser:
    """Somebody who may know nothing of it."""
    return create_user("stranger@example.com")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    from tests.buckets import s3_server  # loaded where it is asked for: it is large

    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> "TestBucket":
    """An empty bucket on a real S3 server."""
    from tests.buckets import TestBucket

    return TestBucket(s3_endpoint, monkeypatch)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Chromium's executable. Without one the test is skipped, or fails where REQUIRE_BROWSER=1 says so."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(NO_BROWSER, pytrace=False)
    pytest.skip(NO_BROWSER)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say in one visible line that no browser looked at the pages."""
    skipped = [report for report in terminalreporter.getreports("skipped") if NO_BROWSER in str(report.longrepr)]
    yield
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} x {NO_BROWSER}", yellow=True, bold=True)
