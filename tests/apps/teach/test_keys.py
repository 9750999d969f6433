"""What a key may ask: what is published, of its owner and their teams."""

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from apps.accounts.models import Membership, Team, User
from apps.quotas import services as quotas
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.teach import classifiers, examples
from apps.teach.models import Classifier, Version
from tests.apps.api.asking import bearer, post
from tests.apps.teach.conftest import LessonWorker, label_of, teach, tone

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
BODY = {"texts": ["red", "green purple"]}


@pytest.fixture
def served(taught: Classifier, teacher: LessonWorker) -> Iterator[Classifier]:
    """APIs leave their requests in the broker's lists themselves."""
    stop = threading.Event()
    taking = threading.Thread(target=teacher.serve_queues, args=(stop,))
    taking.start()
    yield taught
    stop.set()
    taking.join(5)


@pytest.fixture
def keys(taught: Classifier, owner: User, member: User, stranger: User) -> list[dict[str, str]]:
    """Of the owner, of a member of the team that it is shared with, of a stranger."""
    team = Team.objects.create(name="Ours")
    for one in (owner, member):
        Membership.objects.create(team=team, user=one)
    classifiers.change(classifier=taught, name=taught.name, team=team)
    return [bearer(one, scopes=["classify"]) for one in (owner, member, stranger)]


@sync_to_async
def publish(classifier: Classifier) -> None:
    classifiers.publish(version=Version.objects.get(classifier=classifier), actor=classifier.owner)


def address(classifier: Classifier) -> str:
    return f"/api/v1/classifiers/{classifier.pk}/predict"


async def ask(classifier: Classifier, headers: dict[str, str], **body: Any) -> Any:
    return await post(address(classifier), body or BODY, headers)


async def test_what_is_published_answers_those_who_may_see_it(served: Classifier, keys: list[dict[str, str]]) -> None:
    assert [(await ask(served, one)).status_code for one in keys] == [409, 409, 404]
    await publish(served)
    answers = [await ask(served, one) for one in keys]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    for answer in answers[:2]:
        said = answer.json()
        red, none = said["results"]
        assert (said["classifier"], said["version"], said["usage"]) == (str(served.pk), 1, {"prompt_tokens": 3})
        assert [one["label"] for one in red["labels"]] == ["red", "blue"] and not red["is_none"]
        assert none["is_none"] and none["distance"] > 1
    await sync_to_async(lambda: classifiers.withdraw(classifier=served, actor=served.owner))()
    assert (await ask(served, keys[0])).status_code == 409


@pytest.mark.parametrize(
    "body", [{"images": ["AAAA"]}, {"texts": []}, {"texts": ["a"], "images": ["b"]}, {"texts": ["a" * 2001]},
             {"clips": ["AAAA"]}, {"texts": ["a"], "clips": ["b"]},
             {"windows": [[1.0] * 8]}, {"windows": [[1.0] * 7]}, {"windows": [[1e31] * 8]}, {"windows": [["a"] * 8]},
             {"texts": ["a"], "adapter": {"centres": ""}}],
)  # fmt: skip
async def test_bodies_that_cannot_be_are_refused(
    served: Classifier, keys: list[dict[str, str]], body: dict[str, Any]
) -> None:
    """Nobody sends an adapter."""
    await publish(served)
    assert (await ask(served, keys[0], **body)).status_code == 400


async def test_its_use_is_counted_and_limited(served: Classifier, keys: list[dict[str, str]], owner: User) -> None:
    await publish(served)
    assert (await ask(served, keys[0])).status_code == 200

    @sync_to_async
    def none_left() -> None:
        quotas.set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=0,
                         actor=None)  # fmt: skip

    await none_left()
    assert (await ask(served, keys[0])).status_code == 429
    assert (await ask(served, keys[1])).status_code == 200
    assert await LedgerEntry.objects.filter(user_id=owner.pk, deployment="teach-texts").acount() >= 1  # the lesson


async def test_keys_list_and_read_what_their_owner_sees(served: Classifier, keys: list[dict[str, str]]) -> None:
    await publish(served)
    client = AsyncClient()
    lists = [(await client.get("/api/v1/classifiers", headers=one)).json()["data"] for one in keys]
    assert [[row["name"] for row in rows] for rows in lists] == [["Colours"], ["Colours"], []]
    assert lists[0][0]["classes"] == ["red", "blue"] and lists[0][0]["right"] == 6
    codes = [(await client.get(f"/api/v1/classifiers/{served.pk}", headers=one)).status_code for one in keys]
    assert codes == [200, 200, 404]
    assert "adapter" not in lists[0][0]


async def test_windows_are_asked_about(owner: User, teacher: LessonWorker) -> None:
    rows = {"up": range(12), "down": range(12, 0, -1)}

    def made() -> Classifier:
        pump = classifiers.create(owner=owner, name="Pump", reads="windows", labels=list(rows))
        for name, values in rows.items():
            lines = [" ".join(str(value * by) for value in values) for by in (1, 2)]
            examples.add_texts(classifier=pump, texts=lines, label=label_of(pump, name))
        return pump

    asked = {"windows": [list(range(9)), list(range(9, 0, -1))]}
    assert await told(made, owner, teacher, asked) == ["up", "down"]


async def test_clips_are_asked_about(owner: User, teacher: LessonWorker) -> None:
    rows = {"low": (300.0, 330.0), "high": (1500.0, 1600.0)}

    def made() -> Classifier:
        tones = classifiers.create(owner=owner, name="Tones", reads="clips", labels=list(rows))
        for name, pitches in rows.items():
            files = [SimpleUploadedFile("a.wav", tone(pitch)) for pitch in pitches]
            examples.add_files(classifier=tones, files=files, label=label_of(tones, name))
        return tones

    asked = {"clips": [base64.b64encode(tone(pitch)).decode() for pitch in (310.0, 1580.0)]}
    assert await told(made, owner, teacher, asked) == ["low", "high"]


async def told(make: Callable[[], Classifier], owner: User, teacher: LessonWorker, asked: dict[str, Any]) -> list[str]:
    """What a key hears of a classifier that is taught and published."""

    def published() -> Classifier:
        made = make()
        classifiers.publish(version=teach(made, teacher), actor=owner)
        return made

    made, key = await sync_to_async(published)(), await sync_to_async(bearer)(owner, scopes=["classify"])
    stop = threading.Event()
    taking = threading.Thread(target=teacher.serve_queues, args=(stop,))
    taking.start()
    try:
        answer = await ask(made, key, **asked)
    finally:
        stop.set()
        taking.join(5)
    return [one["labels"][0]["label"] for one in answer.json()["results"]]
