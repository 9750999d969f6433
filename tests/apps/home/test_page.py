"""The first page: what it shows to whom, and in how many queries."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role, User
from apps.chat.models import Conversation
from apps.search.models import Collection
from apps.teach.models import Classifier
from tests.fakes import FakeWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

URL = reverse("home:page")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def talk(owner: User, **values: object) -> None:
    Conversation.objects.create(owner=owner, updated_at=timezone.now(), **values)


@pytest.fixture
def admin(stranger: User) -> User:
    User.objects.filter(pk=stranger.pk).update(role=Role.ADMIN)
    return User.objects.get(pk=stranger.pk)


def test_a_stranger_is_sent_to_the_door() -> None:
    assert Client().get(URL)["Location"] == f"{reverse('account_login')}?next={URL}"


def test_one_goes_on_with_what_is_ones_own(owner: User, stranger: User) -> None:
    talk(owner, title="Bearing noise")
    talk(owner, title="Put away", archived=True)
    Classifier.objects.create(owner=owner, name="Surfaces", reads="images", deployment="teach-pictures")
    Collection.objects.create(owner=owner, name="Catalogue")
    mine, theirs = (browser(who).get(URL).content.decode() for who in (owner, stranger))
    for name in ("Bearing noise", "Surfaces", "Catalogue"):
        assert name in mine and name not in theirs
    assert "Put away" not in mine and "Nothing yet" in theirs


def test_steps_go_when_they_are_done_or_hidden(owner: User, admin: User) -> None:
    client = browser(owner)
    assert "0 of 4 done" in client.get(URL).content.decode()
    talk(owner)
    assert "1 of 4 done" in client.get(URL).content.decode()
    assert "Invite people" not in client.get(URL).content.decode()
    assert "Invite people" in browser(admin).get(URL).content.decode()
    client.post(reverse("home:hide_steps"))
    assert "First steps" not in client.get(URL).content.decode()


def test_what_is_deployed_is_told_and_only_administrators_are_led_to_it(
    worker: FakeWorker, owner: User, admin: User
) -> None:
    mine, theirs = (browser(who).get(URL).content.decode() for who in (owner, admin))
    assert "READY" in mine and "1 of 1 models ready" in mine
    assert f'class="small" href="{reverse("console:deployments")}"' in theirs
    assert f'class="small" href="{reverse("console:deployments")}"' not in mine


def test_queries_do_not_grow_with_what_is_there(owner: User, admin: User) -> None:
    counts = []
    browser(owner).get(URL)  # the first one asks for what a process keeps
    for many in (1, 12):
        for number in range(many):
            talk(owner, title=f"{many} {number}")
            Classifier.objects.create(owner=owner, name=f"{number}", reads="texts", deployment="x")
            Collection.objects.create(owner=owner, name=f"{many} {number}")
        with CaptureQueriesContext(connection) as queries:
            assert browser(owner).get(URL).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1], counts
