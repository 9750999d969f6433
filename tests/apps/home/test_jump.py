"""What the palette finds: by words, of what one sees, in so many queries."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role, User
from apps.anomaly.models import Asset
from apps.chat.models import Conversation
from apps.search.models import Collection
from apps.teach.models import Classifier
from tests.fakes import FakeWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def found(user: User, words: str) -> str:
    client = Client()
    client.force_login(user)
    return client.get(reverse("home:jump"), {"q": words}).content.decode()


@pytest.fixture
def pumps(owner: User) -> None:
    Conversation.objects.create(owner=owner, title="Pump noise", updated_at=timezone.now())
    Collection.objects.create(owner=owner, name="Pump photos")
    Asset.objects.create(owner=owner, name="Pump station")
    Classifier.objects.create(owner=owner, name="Pump <b>sounds</b>", reads="texts", deployment="x")


@pytest.mark.usefixtures("pumps")
def test_one_finds_what_is_ones_own_and_a_stranger_nothing(owner: User, stranger: User) -> None:
    mine = found(owner, "pump")
    for title in ("noise", "photos", "station", "&lt;b&gt;sounds"):
        assert f"<mark>Pump</mark> {title}" in mine
    assert mine.count('role="group"') == 4 and "<b>" not in mine
    assert found(stranger, "pump").strip() == "" == found(owner, "valve").strip()


@pytest.mark.usefixtures("pumps")
def test_without_words_there_are_the_newest_chats(owner: User) -> None:
    mine = found(owner, "")
    assert "Pump noise" in mine and mine.count('role="option"') == 1
    assert "noise" in found(owner, "pump\x00") and "noise" in found(owner, "  PUMP ")


def test_only_administrators_find_what_is_deployed(worker: FakeWorker, owner: User) -> None:
    assert "/console/" not in found(owner, "echo")
    User.objects.filter(pk=owner.pk).update(role=Role.ADMIN)
    assert reverse("console:deployment", args=["echo"]) in found(User.objects.get(pk=owner.pk), "echo")


@pytest.mark.usefixtures("pumps")
def test_queries_do_not_grow_with_what_is_found(owner: User) -> None:
    counts = []
    found(owner, "pump")  # the first one asks for what a process keeps
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            found(owner, "pump")
        counts.append(len(queries))
        for number in range(9):
            Collection.objects.create(owner=owner, name=f"pump {number}")
            Asset.objects.create(owner=owner, name=f"pump {number}")
    assert counts[0] == counts[1]
    assert found(owner, "pump").count('role="option"') == 12  # five of each kind at most
