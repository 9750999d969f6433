"""The one form of every list: pages of a cursor, each at the price of any other."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import keys
from apps.accounts.invitations import invite
from apps.accounts.keys import create_api_key
from apps.accounts.models import Membership, Team, User
from apps.anomaly.models import Asset, Delivery, Finding, Incident
from apps.audit.services import record
from apps.chat.models import Comparison, Conversation, Lane, Preset
from apps.classify.models import Batch
from apps.jobs.models import Job
from apps.notices.models import Notice
from apps.quotas.models import Limit, Price
from apps.registry.models import Model, ModelVersion
from apps.search.models import Collection
from apps.serving import deployments
from tests.apps.api.native.asking import Caller, caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    """An administrator: every list is open."""
    return User.objects.create_superuser("owner@example.com")


def _conversation(owner: User, number: int) -> None:
    Conversation.objects.create(owner=owner, title=f"{number}", updated_at=timezone.now(), pinned=number % 3 == 0)


def _comparison(owner: User, number: int) -> None:
    both = Comparison.objects.create(owner=owner, prompt="who?")
    Lane.objects.create(comparison=both, letter="A")
    Lane.objects.create(comparison=both, letter="B")


def _preset(owner: User, number: int) -> None:
    Preset.objects.create(owner=owner, name=f"preset {number}")


def _notice(owner: User, number: int) -> None:
    now = timezone.now()
    one = {"kind": "key", "subject": uuid4(), "message": "{n}", "values": {"n": number}}
    Notice.objects.create(reader=owner, created_at=now, happened_at=now, **one)


def _key(owner: User, number: int) -> None:
    create_api_key(owner=owner, name=f"key {number}")


def _job(owner: User, number: int) -> None:
    Job.objects.create(kind="import", title=f"{number}", created_by=owner)


def _version(owner: User, number: int) -> ModelVersion:
    model = Model.objects.create(name=f"model-{number}", title="Model", task="text-generation")
    return ModelVersion.objects.create(model=model, number=1, artifact="echo", digest="d" * 64)


def _deployment(owner: User, number: int) -> None:
    deployments.create_deployment(actor=None, name=f"echo-{number}", version=_version(owner, number))


def _entry(owner: User, number: int) -> None:
    record(action="test.act", target=owner, actor=owner)


def _team(owner: User, number: int) -> None:
    Membership.objects.create(team=Team.objects.create(name=f"Team {number}"), user=owner)


def _member(owner: User, number: int) -> None:
    """With a team, so that the list has those of each to tell."""
    person = User.objects.create_user(f"{number}@example.com")
    Membership.objects.create(team=Team.objects.create(name=f"Team {number}"), user=person)


def _incident(owner: User) -> Incident:
    """Of an asset of its own, with what is told of it."""
    asset = Asset.objects.create(owner=owner, name="Press")
    incident = Incident.objects.create(asset=asset, began_at=timezone.now(), last_at=timezone.now())
    Finding.objects.create(incident=incident, kind="stopped", began_at=timezone.now(), last_at=timezone.now())
    return incident


LISTS = {
    "/conversations": _conversation,
    "/conversations?search=1": lambda owner, number: _conversation(owner, 1),
    "/comparisons": _comparison,
    "/presets": _preset,
    "/notices": _notice,
    "/notices?kind=key&unread=true": _notice,
    "/keys": _key,
    "/keys?everybody=true": _key,
    "/jobs": _job,
    "/models": _version,
    "/deployments": _deployment,
    "/audit?q=test.act": _entry,
    "/classify/files": lambda owner, number: Batch.objects.create(owner=owner, deployment="mood", file_name="a.txt"),
    "/search/collections": lambda owner, number: Collection.objects.create(owner=owner, name=f"Ours {number}"),
    "/anomaly/assets": lambda owner, number: Asset.objects.create(owner=owner, name=f"Press {number}"),
    "/anomaly/incidents": lambda owner, number: _incident(owner),
    "/anomaly/deliveries": lambda owner, number: Delivery.objects.create(
        incident=_incident(owner),
        event="opened",
        severity="info",
        channel="email",
        target="a@example.com",
        due_at=timezone.now(),
    ),
    "/teams": lambda owner, number: _team(owner, number),
    "/invitations": lambda owner, number: invite(actor=owner, email=f"{number}@example.com"),
    "/people": _member,
    "/limits": lambda owner, number: Limit.objects.create(
        scope="team", subject=f"{number}", metric="requests", window="day"
    ),
    "/prices": lambda owner, number: Price.objects.create(deployment=f"{number}", metric="requests", per_unit=1),
}


def _listed(me: Caller, path: str, limit: int) -> list[Any]:
    """All items, page by page."""
    items, cursor = [], ""
    while True:
        join = "&" if "?" in path else "?"
        status, page = me.ask("get", f"{path}{join}limit={limit}&cursor={cursor}")
        assert status == 200, page
        assert set(page) == {"data", "next"}
        items += page["data"]
        cursor = page["next"]
        if cursor is None:
            return items


@pytest.mark.parametrize("path", LISTS)
def test_1_and_30_rows_cost_the_same_queries(path: str, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_KNOWN_SECONDS", 3600.0)
    me, costs = caller(owner), []
    me.ask("get", path)  # the key is known from here on
    for number in range(30):
        LISTS[path](owner, number)
        if number in (0, 29):
            with CaptureQueriesContext(connection) as queries:
                assert me.ask("get", path)[0] == 200
            costs.append(len(queries))
    assert costs[0] == costs[1]


@pytest.mark.parametrize("path", LISTS)
def test_pages_have_every_row_once(path: str, owner: User) -> None:
    for number in range(7):
        LISTS[path](owner, number)
    me = caller(owner)
    whole = _listed(me, path, 100)
    assert len(whole) >= 7
    assert _listed(me, path, 3) == whole


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["x", "eyJhIjoxfQ", "WyJhIiwiYiIsImMiXQ", "WzFd", "%00", "1_2_3"])
def test_a_cursor_of_elsewhere_is_refused(path: str, cursor: str, owner: User) -> None:
    join = "&" if "?" in path else "?"
    status, refused = caller(owner).ask("get", f"{path}{join}cursor={cursor}")
    assert (status, refused["error"]["param"]) == (400, "cursor")
