"""Four people, and one of every thing an address can name: `member` owns them all, nobody shares them.

They are made once a module, in a transaction that each test goes back to the beginning of. What Redis knows is made
anew for each test, and so are the browsers.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.tokens import default_token_generator
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from django.utils import timezone
from django.utils.http import int_to_base36

from apps.accounts.invitations import invite
from apps.accounts.keys import create_api_key
from apps.accounts.models import Membership, Role, Team, User
from apps.anomaly import assets
from apps.anomaly.models import AlertRule, Detector, Fit, Incident, Plant, Silence
from apps.anomaly.models import Upload as ReadingsUpload
from apps.chat.models import Comparison, Conversation, Lane, Message, Preset
from apps.classify.models import Batch
from apps.jobs.models import Job
from apps.notices.models import Notice
from apps.quotas.models import Limit, Metric, Price, Scope, Window
from apps.registry.models import Model, ModelVersion
from apps.search import vectors
from apps.search.models import Collection, Index, Picture, QueryPicture, SavedSearch, Upload
from apps.serving import connection, deployments, reconcile, requests
from apps.serving.models import Deployment
from apps.teach.models import Classifier, Example, Label, Version
from tests.apps.conftest import clean_redis, deployment, fresh_snapshots, version, worker  # noqa: F401  fixtures
from tests.apps.serving.test_recover import make_request

MEMBER, PASSWORD = "owner@example.com", "correct horse battery staple"
APIS = ("/v1/", "/api/v1/")


@dataclass
class Person:
    """Somebody with a browser that is signed in, and a key; `anonymous` has neither."""

    browser: Client
    headers: dict[str, str] = field(default_factory=dict)

    def again(self) -> "Person":
        """The same with a browser of their own: an answer may change its cookies."""
        browser = Client(raise_request_exception=False)
        browser.cookies = copy.deepcopy(self.browser.cookies)
        return replace(self, browser=browser)

    def ask(self, method: str, address: str) -> str:
        """What the answer is called in the table: its status, or "login" for a redirect there."""
        headers = self.headers if address.startswith(APIS) else {}
        kind = "application/json" if address.startswith(APIS) else "application/x-www-form-urlencoded"
        body = "{}" if address.startswith(APIS) else ""
        # Nothing checks the token of a form here; test_forms_without_a_token_are_refused does.
        answer = self.browser.generic(method, address, body if method != "GET" else "", kind, headers=headers)
        where = answer.headers.get("Location", "")
        return "login" if where.startswith(("/accounts/login/", "/admin/login/")) else str(answer.status_code)


@dataclass
class World:
    people: dict[str, Person]
    things: dict[str, Any]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    connection.client().flushdb()
    with django_db_blocker.unblock(), transaction.atomic():
        people = _people()
        model = Model.objects.create(name="echo", title="Echo", task="text-generation")
        echo = ModelVersion.objects.create(model=model, number=1, artifact="echo", digest="d" * 64)
        deployed = deployments.create_deployment(actor=None, name="echo", version=echo)
        yield World(people, things_of(User.objects.get(email=MEMBER), deployed))
        transaction.set_rollback(True)


@pytest.fixture
def people(db: None, world: World) -> dict[str, Person]:
    """By the names of the table's columns."""
    return {name: person.again() for name, person in world.people.items()}


@pytest.fixture
def things(db: None, world: World) -> dict[str, Any]:
    reconcile.reconcile()
    return {**world.things, "request_id": _running(User.objects.get(email=MEMBER))}


def _people() -> dict[str, Person]:
    admin = User.objects.create_superuser("admin@example.com", PASSWORD)
    stranger, member = (User.objects.create_user(email, PASSWORD) for email in ("stranger@example.com", MEMBER))
    known = {"stranger": stranger, "member": member, "admin": admin}
    return {"anonymous": Person(Client(raise_request_exception=False))} | {
        name: _signed_in(user) for name, user in known.items()
    }


def _signed_in(user: Any) -> Person:
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    _, secret = create_api_key(owner=user, name="table")
    return Person(browser, {"Authorization": f"Bearer {secret}"})


def things_of(owner: User, deployment: Deployment) -> dict[str, Any]:  # noqa: F811
    """The arguments of addresses, by their names in urls.py. A new name of an argument goes here."""
    conversation, answer = _conversation(owner)
    comparison = Comparison.objects.create(owner=owner, prompt="who?")
    for letter in "AB":
        Lane.objects.create(comparison=comparison, letter=letter, text="me")
    reconcile.reconcile()
    return {
        "conversation_id": conversation.pk,
        "message_id": answer.pk,
        "comparison_id": comparison.pk,
        "preset_id": Preset.objects.get_or_create(owner=owner, name="calm")[0].pk,
        "form": "json",
        "batch_id": Batch.objects.create(owner=owner, deployment="mood", file_name="a.csv").pk,
        "kind": "csv",
        **_pictures(owner),
        **_assets(owner),
        **_lessons(owner),
        **_people_and_teams(owner),
        "notice_id": _notice(owner),
        "key_id": create_api_key(owner=owner, name="nightly")[0].pk,
        "name": deployment.name,  # of its model as well
        "number": 1,
        "revision_id": deployment.revisions.get().pk,
        "job_id": Job.objects.create(kind="import", title="Import", created_by=owner).pk,
        "request_id": _running(owner),
        "limit_id": _limit().pk,
        "price_id": Price.objects.get_or_create(deployment="", metric=Metric.REQUESTS, defaults={"per_unit": 1})[0].pk,
        # a link of an e-mail about a forgotten password
        "uidb36": int_to_base36(owner.pk),
        "key": default_token_generator.make_token(owner),
        # Django's admin
        "object_id": owner.pk,
        "content_type_id": 1,
        "app_label": "accounts",
        "url": "nowhere",
    }


def _notice(owner: User) -> int:
    now = timezone.now()
    return Notice.objects.create(reader=owner, kind="key", message="x", created_at=now, happened_at=now).pk


def _running(owner: User) -> str:
    """A request of theirs that nobody has answered yet."""
    request = make_request()
    requests.save(request, owner=str(owner.pk))
    return request.request_id


def _pictures(owner: User) -> dict[str, Any]:
    """A collection with a picture, whose files are there, and what belongs to it."""
    model, _ = Model.objects.get_or_create(name="seer", defaults={"task": "zero-shot-image-classification"})
    values = {"artifact": "seer", "digest": "s" * 64, "manifest": {"dimensions": 8, "logit_scale": 10.0}}
    seer, _ = ModelVersion.objects.get_or_create(model=model, number=1, defaults=values)
    collection = Collection.objects.create(owner=owner, name="Ours")
    index = Index.objects.create(
        collection=collection, deployment="seer", version=seer, dimensions=8, state=Index.State.SERVING
    )
    vectors.create_partition(index)
    # a name of its own: other test processes write into the same storage
    file = default_storage.save(f"search/{uuid4().hex}.webp", ContentFile(b"picture"))
    picture = Picture.objects.create(
        id=uuid4(), collection=collection, sha256=uuid4().hex * 2, phash=0, colour=0, name="a.png", kind="png", width=1,
        height=1, bytes=1, file=file, thumbnail=file, held_as="table",
    )  # fmt: skip
    return {
        "collection_id": collection.pk,
        "index_id": index.pk,
        "picture_id": picture.pk,
        "upload_id": Upload.objects.create(collection=collection).pk,
        "query_picture_id": QueryPicture.objects.create(owner=owner, name="q.png", thumbnail=file).pk,
        "search_id": SavedSearch.objects.create(owner=owner, collection=collection, name="Reds", query="").pk,
        "duplicates": "near",
        "duplicates_kind": "near",
    }


def _lessons(owner: User) -> dict[str, Any]:
    """A classifier that was taught with one example, whose file is there, as a picture and as a clip."""
    classifier = Classifier.objects.create(owner=owner, name="Ours", reads="images", deployment="teacher")
    label = Label.objects.create(classifier=classifier, name=f"label {Label.objects.count()}")
    file = default_storage.save(f"teach/{uuid4().hex}.webp", ContentFile(b"picture"))
    example = Example.objects.create(classifier=classifier, label=label, name="a.png", picture=file, clip=file)
    taught = Version.objects.create(
        classifier=classifier, number=1, state=Version.State.READY, labels=[[label.pk, label.name]],
        examples=[example.pk], adapter={}, created_at=timezone.now(),
    )  # fmt: skip
    return {
        "classifier_id": classifier.pk, "label_id": label.pk, "example_id": example.pk, "version_id": taught.pk,
    }  # fmt: skip


def _assets(owner: User) -> dict[str, Any]:
    """An asset with a simulated plant, and what belongs to it."""
    asset = assets.create(owner=owner, name="Press")
    sensor = assets.add_sensor(asset=asset, key="flow")
    now = timezone.now()
    Plant.objects.create(asset=asset, written_to=now, is_running=False)
    detector = Detector.objects.create(asset=asset, name="Watch", columns=[sensor.pk])
    fit = Fit.objects.create(detector=detector, number=1, begin=now, end=now)
    silence = Silence.objects.create(asset=asset, begins_at=now, ends_at=now + timedelta(hours=1))
    return {
        "asset_id": asset.pk,
        "sensor_id": sensor.pk,
        "readings_upload_id": ReadingsUpload.objects.create(asset=asset, owner=owner, name="a.csv").pk,
        "detector_id": detector.pk,
        "fit_id": fit.pk,
        "incident_id": Incident.objects.create(asset=asset, began_at=now, last_at=now).pk,
        "rule_id": AlertRule.objects.filter(asset=asset).order_by("name")[0].pk,
        "silence_id": silence.pk,
    }


def _limit() -> Limit:
    one = {"scope": Scope.USER, "subject": "", "metric": Metric.REQUESTS, "window": Window.DAY}
    return Limit.objects.get_or_create(**one, defaults={"amount": 1000})[0]


def _people_and_teams(owner: User) -> dict[str, Any]:
    """The member's own row and session, a team they own, and an invitation to it."""
    team = Team.objects.create(name=f"Ours {Team.objects.count()}")
    membership = Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    invitation, token = invite(actor=owner, team=team)
    # Somebody else's: who has one is asked for it, which takes a browser.
    other, _made = User.objects.get_or_create(email="other@example.com")
    passkey = Authenticator.objects.create(user=other, type=Authenticator.Type.WEBAUTHN, data={"name": "laptop"})
    return {
        "user_id": owner.pk,
        "session_id": UserSession.objects.create(user=owner, session_key=uuid4().hex, ip="127.0.0.1").pk,
        "pk": passkey.pk,
        "team_id": team.pk,
        "membership_id": membership.pk,
        "invitation_id": invitation.pk,
        "token": token,
        "provider_id": "nowhere",  # what a configured one does is in tests/apps/accounts/test_oidc.py
    }


def _conversation(owner: User) -> tuple[Conversation, Message]:
    conversation = Conversation.objects.create(owner=owner, title="Ours", updated_at=timezone.now())
    question = Message.objects.create(conversation=conversation, role=Message.Role.USER, text="who?")
    answer = Message.objects.create(conversation=conversation, parent=question, role=Message.Role.ASSISTANT, text="me")
    conversation.leaf = answer
    conversation.save()
    return conversation, answer
