"""Refining: a job's end becomes a version when it pays, and the adapter stays with it alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Membership, Team, User
from apps.jobs.models import Job
from apps.jobs.signals import job_ended
from apps.registry.models import ModelVersion
from apps.teach import classifiers, examples, refining
from apps.teach.models import Classifier, Example, Version
from contracts.few_shot import REFINE_JOB, RefineArguments
from tests.apps.teach.conftest import LessonWorker, label_of, teach

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

JUDGED = {"steps": 12, "before": 6, "right": 7, "judged": 8}


@pytest.fixture(autouse=True)
def artifacts(settings: Any, tmp_path: Path) -> Path:
    settings.ARTIFACTS_DIR = str(tmp_path)
    return tmp_path


@pytest.fixture
def enough(taught: Classifier) -> Iterator[Classifier]:
    """Four examples of each class, and a model that can be refined."""
    examples.add_texts(classifier=taught, texts=["red four"], label=label_of(taught, "red"))
    examples.add_texts(classifier=taught, texts=["blue four"], label=label_of(taught, "blue"))
    model = ModelVersion.objects.get(model__name="teach-texts")
    model.manifest |= {"adapters": "adapters.safetensors"}
    model.save()
    yield Classifier.objects.get(pk=taught.pk)


def end(version: Version, state: Job.State = Job.State.SUCCEEDED, **result: Any) -> Version:
    """As when the worker has said so."""
    assert version.job
    Job.objects.filter(pk=version.job_id).update(state=state, result=result, reason=result.pop("reason", ""))
    version.job.refresh_from_db()
    job_ended.send(sender=Job, job=version.job)
    version.refresh_from_db()
    return version


def learned(classifier: Classifier) -> dict[str, Any]:
    """What a job results in; its adapter is one that can be asked."""
    taught = classifier.versions.get(number=1)
    report = {**(taught.report or {}), "right": 7, "before": 6, "steps": 12}
    return {"adapter": taught.adapter, "report": report, **JUDGED}


def test_the_job_has_what_a_worker_needs(enough: Classifier, owner: User) -> None:
    version = refining.refine(classifier=enough, actor=owner)
    job = Job.objects.get(kind=REFINE_JOB)
    assert (version.state, version.job, job.created_by) == (Version.State.REFINING, job, owner)
    asked = RefineArguments.from_dict(job.arguments)
    lesson = json.loads(Path(asked.lesson).read_text())
    assert asked.artifact.endswith("/texts") and asked.digest == "t" * 64
    assert (lesson["classes"], sorted(lesson["labels"])) == (2, [0] * 4 + [1] * 4)
    assert len(lesson["texts"]) == 8 and version.taught_with == 8


def test_what_tells_more_answers_and_the_job_forgets_the_adapter(enough: Classifier, owner: User) -> None:
    version = end(refining.refine(classifier=enough, actor=owner), **learned(enough))
    assert version.state == Version.State.READY and version.adapter == enough.versions.get(number=1).adapter
    enough.refresh_from_db()
    assert enough.version == version
    job = Job.objects.get(kind=REFINE_JOB)
    assert job.result == JUDGED
    assert not Path(job.arguments["lesson"]).exists()


def test_what_is_no_better_changes_nothing(enough: Classifier, owner: User) -> None:
    version = end(
        refining.refine(classifier=enough, actor=owner), adapter=None, report=None, **JUDGED | {"steps": 0, "right": 6}
    )
    enough.refresh_from_db()
    assert version.state == Version.State.NO_GAIN and version.adapter is None
    assert enough.version and enough.version.number == 1
    client = Client()
    client.force_login(owner)
    page = client.get(reverse("teach:page", args=[enough.pk])).content.decode()
    assert "Gradient steps make it no better" in page and "6 of 8 examples" in page


def test_what_waits_for_a_class_is_asked_about_anew(enough: Classifier, owner: User, teacher: LessonWorker) -> None:
    examples.add_texts(classifier=enough, texts=["red red"], label=None)
    Example.objects.filter(text="red red").update(guess="blue", share=0.6, doubt=0.8)
    end(refining.refine(classifier=enough, actor=owner), **learned(enough))
    teacher.drain()
    assert Example.objects.get(text="red red").guess == "red"


def test_a_later_lesson_stays(enough: Classifier, owner: User, teacher: LessonWorker) -> None:
    version = refining.refine(classifier=enough, actor=owner)
    later = teach(enough, teacher)
    end(version, **learned(enough))
    enough.refresh_from_db()
    assert (later.number, enough.version) == (3, later)


def test_a_job_that_failed_says_why_and_can_be_tried_again(enough: Classifier, owner: User) -> None:
    version = end(refining.refine(classifier=enough, actor=owner), Job.State.FAILED, reason="No memory.")
    assert (version.state, version.problem) == (Version.State.FAILED, "No memory.")
    assert version.job and Path(version.job.arguments["lesson"]).exists()
    end(version, **learned(enough))
    assert version.state == Version.State.READY


def test_what_cannot_be_refined_is_refused(enough: Classifier, owner: User, artifacts: Path) -> None:
    refining.refine(classifier=enough, actor=owner)
    with pytest.raises(ValueError, match="being refined already"):
        refining.refine(classifier=enough, actor=owner)
    Version.objects.filter(state=Version.State.REFINING).delete()
    one = enough.examples.filter(label=label_of(enough, "red")).first()
    assert one
    examples.delete(example=one)
    with pytest.raises(ValueError, match="every class needs 4"):
        refining.refine(classifier=enough, actor=owner)
    examples.add_texts(classifier=enough, texts=["red again"], label=label_of(enough, "red"))
    ModelVersion.objects.update(manifest={"reads": "texts"})
    with pytest.raises(ValueError, match="cannot be refined"):
        refining.refine(classifier=enough, actor=owner)
    assert Job.objects.filter(kind=REFINE_JOB).count() == 1


def test_a_classifier_that_goes_ends_its_job(enough: Classifier, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []
    monkeypatch.setattr(refining.jobs, "cancel", lambda **asked: ended.append(asked["job"].pk) or True)
    version = refining.refine(classifier=enough, actor=owner)
    classifiers.delete(classifier=enough, actor=owner)
    assert ended == [version.job_id]


def test_its_owner_refines_and_cancels_and_nobody_else(
    enough: Classifier, owner: User, member: User, stranger: User
) -> None:
    team = Team.objects.create(name="Ours")
    for one in (owner, member):
        Membership.objects.create(team=team, user=one)
    classifiers.change(classifier=enough, name=enough.name, team=team)

    def posted(name: str, thing: Any) -> list[int]:
        found = []
        for who in (stranger, member, owner):
            client = Client()
            client.force_login(who)
            found.append(client.post(reverse(f"teach:{name}", args=[thing])).status_code)
        return found

    assert posted("refine", enough.pk) == [404, 404, 302]
    version = Version.objects.get(state=Version.State.REFINING)
    page = Client()
    page.force_login(member)
    shown = page.get(reverse("teach:live", args=[enough.pk])).content.decode()
    assert "is being refined" in shown and "/cancel/" not in shown
    assert posted("cancel", version.pk) == [404, 404, 302]
