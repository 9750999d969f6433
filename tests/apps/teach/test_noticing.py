"""Lessons that nobody waited for, and refining, among the notices of a classifier's owner."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import Team, User
from apps.jobs.models import Job
from apps.notices.models import Notice
from apps.notices.queries import lines
from apps.serving.requests import Transcript
from apps.teach import refining, teaching
from apps.teach.models import Classifier, Version

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def classifier(owner: User) -> Classifier:
    return Classifier.objects.create(owner=owner, name="Surfaces", reads="texts", deployment="teacher")


def version(classifier: Classifier, *, seconds: float = 0, **fields: object) -> Version:
    began = timezone.now() - timedelta(seconds=seconds)
    number = classifier.versions.count() + 1
    return Version.objects.create(
        classifier=classifier, number=number, labels=[], examples=[], created_at=began, **fields
    )


def told(user: User) -> list[tuple[str, str, str]]:
    found = lines(user, Notice.objects.filter(reader=user).order_by("pk"))
    return [(line.notice.level, line.text, line.link) for line in found]


def test_a_lesson_that_its_page_waited_for_is_no_news(classifier: Classifier, owner: User) -> None:
    teaching._learned(version(classifier), Transcript(error={"message": "No."}))
    assert told(owner) == []


def test_a_long_lesson_is_told_once(classifier: Classifier, owner: User) -> None:
    lesson = version(classifier, seconds=60)
    for _ in range(2):
        teaching._learned(lesson, Transcript(error={"message": "All workers are busy."}))
    address = f"/teach/classifiers/{classifier.pk}/"
    assert told(owner) == [("error", "Surfaces: version 1 could not be taught: All workers are busy.", address)]
    assert Notice.objects.get().times == 1


@pytest.mark.parametrize(
    ("state", "result", "said"),
    [
        ("SUCCEEDED", {"adapter": None, "report": {}}, "Surfaces: refining brought nothing, the version before stays."),
        ("SUCCEEDED", {"adapter": {}, "report": {}}, "Surfaces: version 1 was refined and is better than before."),
        ("FAILED", {}, "Surfaces: version 1 could not be refined: No memory."),
        ("CANCELLED", {}, ""),
    ],
)
def test_what_refining_came_to(
    classifier: Classifier, owner: User, member: User, state: str, result: dict[str, object], said: str
) -> None:
    figures = {"steps": 1, "before": 1, "right": 1, "judged": 1}
    job = Job.objects.create(
        kind="refine", title="Refine", state=state, reason="No memory.", arguments={"lesson": "/nowhere"},
        result={**result, **figures} if result else {},
    )  # fmt: skip
    version(classifier, state=Version.State.REFINING, job=job)
    refining.settle(job=job)
    assert [text for _level, text, _link in told(owner)] == ([said] if said else [])
    assert told(member) == []


def test_who_is_in_the_team_hears_nothing_and_what_was_deleted_has_no_words(
    classifier: Classifier, owner: User, member: User
) -> None:
    team = Team.objects.create(name="Quality")
    team.members.add(member)
    Classifier.objects.update(team=team)
    teaching._learned(version(classifier, seconds=60), Transcript(error={"message": "No."}))
    assert told(member) == []
    classifier.delete()
    assert "Surfaces" not in told(owner)[0][1]
