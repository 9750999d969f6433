"""The document against the site as it runs: what schemathesis makes of it is answered as the document says."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import just

from apps.accounts.models import User
from apps.api.document import document
from apps.quotas.models import Limit
from apps.registry.models import ModelVersion
from apps.serving import deployments
from apps.serving.models import Deployment
from tests.access.conftest import things_of
from tests.apps.api.asking import bearer
from tests.fakes import FakeWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
RULES: dict[str, Any] = {
    "deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "phases": [Phase.generate],
}  # fmt: skip
OPERATIONS = sum(len(methods) for methods in document()["paths"].values())


@pytest.fixture
def site() -> Iterator[str]:
    """The address of the site, run as in production: one loop, Django in threads."""
    from deepseek_web.asgi import application

    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan="off", log_level="error"))
    running = threading.Thread(target=server.run)
    running.start()
    while not server.started:
        running.join(0.05)
    yield "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
    server.should_exit = True
    running.join()


@pytest.fixture
def living(worker: FakeWorker) -> Iterator[None]:
    """The worker renews its lease for as long as it takes."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(1):
            worker.follow()

    renewing = threading.Thread(target=renew)
    renewing.start()
    yield
    over.set()
    renewing.join()


@pytest.fixture
def boss(db: None) -> User:
    """Who may ask for everything."""
    return User.objects.create_superuser("boss@example.com")


@pytest.mark.slow
def test_answers_are_those_of_the_document(living: None, site: str, boss: User, version: ModelVersion) -> None:
    assert check(site, boss, version, examples=2, derandomize=True) == OPERATIONS


@pytest.mark.slow
def test_many_answers_are_those_of_the_document(living: None, site: str, boss: User, version: ModelVersion) -> None:
    assert check(site, boss, version, examples=25, derandomize=False) == OPERATIONS


def check(site: str, boss: User, version: ModelVersion, *, examples: int, derandomize: bool) -> int:
    """Ask every operation that often, each time for things that are there and for others; how many there were."""
    import schemathesis

    headers = bearer(boss)
    checked = 0
    for number, found in enumerate(schemathesis.openapi.from_dict(document()).get_all_operations()):
        there = _things(site, boss, headers, version, number)
        rules = settings(max_examples=examples, derandomize=derandomize, **RULES)
        asked = {"case": found.ok().as_strategy(), "site": just(site), "headers": just(headers), "there": just(there)}
        rules(given(**asked)(_ask_both))()
        checked += 1
    return checked


def _ask_both(case: Any, site: str, headers: dict[str, str], there: dict[str, Any]) -> None:
    """About what may be there, then about what is."""
    _ask(case, site, headers)
    if case.path_parameters:
        case.path_parameters = {name: str(there[name]) for name in case.path_parameters}
        _ask(case, site, headers)


def _things(site: str, boss: User, headers: dict[str, str], version: ModelVersion, number: int) -> dict[str, Any]:
    """Of one's own, by the names of arguments; what an operation does to them no other one notices."""
    deployment: Deployment = deployments.create_deployment(actor=None, name=f"echo-{number}", version=version)
    Limit.objects.all().delete()  # whatever an operation has set
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    asked = requests.post(f"{site}/v1/chat/completions", json=body, headers=headers, timeout=20)
    there = things_of(boss, deployment)
    return {**there, "request_id": asked.headers["X-Request-Id"]}


def _ask(case: Any, site: str, headers: dict[str, str]) -> None:
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as openapi

    answer = case.call(base_url=site, headers=headers, timeout=20)
    case.validate_response(
        answer,
        checks=[
            checks.not_a_server_error,
            openapi.status_code_conformance,
            openapi.content_type_conformance,
            openapi.response_schema_conformance,
        ],
    )
