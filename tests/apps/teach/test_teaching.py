"""Versions: taught once whoever hears of it, gone back to, published; and what is ranked."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.quotas import services as quotas
from apps.quotas.admission import LimitReached
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.waiting import NotUnderstood
from apps.serving import connection, services
from apps.teach import classifiers, examples, teaching
from apps.teach.models import Classifier, Version
from contracts import names
from tests.apps.teach.conftest import LessonWorker, label_of, teach

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_a_version_answers_as_soon_as_it_is_taught(classifier: Classifier, teacher: LessonWorker, owner: User) -> None:
    version = teach(classifier, teacher)
    assert (version.number, version.state, version.names) == (1, Version.State.READY, ["red", "blue"])
    assert version.report is not None and version.report["judged"] == version.report["right"] == 6
    classifier.refresh_from_db()
    assert classifier.version == version and not classifier.is_stale
    red, none = teaching.answers(version=version, inputs=["red red", "green yellow purple"], who=owner)
    assert red["shares"][0][0] == "red" and not red["is_none"]
    assert none["is_none"] and none["distance"] > 1


def test_who_waits_and_who_settles_store_a_version_once(classifier: Classifier, teacher: LessonWorker) -> None:
    version = teaching.teach(classifier=classifier, who=classifier.owner)
    teaching.wait(version=version)
    version.refresh_from_db()
    assert version.state == Version.State.READY
    ended = version.ended_at
    teacher.drain()
    version.refresh_from_db()
    assert version.ended_at == ended


def test_a_later_version_that_came_first_stays(classifier: Classifier, teacher: LessonWorker) -> None:
    teacher.engine.gate.clear()
    first = teaching.teach(classifier=classifier, who=classifier.owner)
    second = teaching.teach(classifier=classifier, who=classifier.owner)
    teacher.engine.gate.set()
    teacher.wait()
    for version in (second, first):
        services.settle(request_id=version.request_id)
    classifier.refresh_from_db()
    assert classifier.version == second


def test_what_fails_is_told_and_the_version_before_stays(taught: Classifier, teacher: LessonWorker) -> None:
    teacher.engine.fail_with = {"type": "internal", "message": "The model failed while computing."}
    version = teach(taught, teacher)
    assert (version.state, version.problem) == (Version.State.FAILED, "The model failed while computing.")
    taught.refresh_from_db()
    assert taught.version is not None and taught.version.number == 1


def test_an_earlier_version_is_gone_back_to_and_published(
    taught: Classifier, teacher: LessonWorker, owner: User
) -> None:
    examples.add_texts(classifier=taught, texts=["red again"], label=label_of(taught, "red"))
    taught.refresh_from_db()
    assert taught.is_stale
    teach(taught, teacher)
    first = taught.versions.get(number=1)
    classifiers.use(version=first)
    classifiers.publish(version=first, actor=owner)
    taught.refresh_from_db()
    assert (taught.version, taught.published) == (first, first)
    assert classifiers.withdraw(classifier=taught, actor=owner) and not classifiers.withdraw(
        classifier=taught, actor=owner
    )
    classifiers.delete(classifier=taught, actor=owner)
    acts = AuditEntry.objects.filter(action__startswith="classifier.").order_by("pk")
    assert list(acts.values_list("action", "object_label")) == [
        ("classifier.publish", "Colours"), ("classifier.withdraw", "Colours"), ("classifier.delete", "Colours"),
    ]  # fmt: skip


def test_a_version_that_is_not_ready_answers_nobody(classifier: Classifier, teacher: LessonWorker, owner: User) -> None:
    teacher.engine.fail_with = {"type": "internal", "message": "no"}
    version = teach(classifier, teacher)
    for act in (lambda: classifiers.use(version=version), lambda: classifiers.publish(version=version, actor=owner)):
        with pytest.raises(ValueError, match="version: is not ready"):
            act()


def test_two_classes_need_examples(owner: User, teacher: LessonWorker) -> None:
    made = classifiers.create(owner=owner, name="Empty", reads="texts", labels=["a", "b", "c"])
    examples.add_texts(classifier=made, texts=["red"], label=label_of(made, "a"))
    with pytest.raises(ValueError, match="examples: at least two classes need one"):
        teaching.teach(classifier=made, who=owner)
    examples.add_texts(classifier=made, texts=["blue"], label=label_of(made, "b"))
    assert teach(made, teacher).names == ["a", "b"]


def test_a_limit_refuses_and_nothing_is_stored(classifier: Classifier, owner: User) -> None:
    quotas.set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=0,
                     actor=None)  # fmt: skip
    with pytest.raises(LimitReached):
        teaching.teach(classifier=classifier, who=owner)
    assert not Version.objects.exists()


def test_what_has_no_class_is_ranked_by_doubt(taught: Classifier, teacher: LessonWorker) -> None:
    examples.add_texts(classifier=taught, texts=["red red red", "red blue", "green yellow"], label=None)
    assert teaching.rank(classifier=taught)
    assert not teaching.rank(classifier=Classifier.objects.get(pk=taught.pk))  # one at a time
    teacher.drain()
    rows = {row.text: row for row in taught.examples.filter(label=None)}
    doubts = [rows[text].doubt for text in ("green yellow", "red blue", "red red red")]
    assert doubts[:2] == [2.0, 2.0] and doubts[2] is not None and doubts[2] < 1
    assert rows["red red red"].guess == "red"
    examples.give_label(example=rows["red blue"], label=label_of(taught, "blue"))
    assert taught.examples.get(text="red blue").doubt is None
    taught.refresh_from_db()
    assert taught.is_stale
    teach(taught, teacher)
    assert taught.examples.filter(label=None, doubt=None).count() == 0  # asked again by themselves


def test_a_lost_answer_fails_and_a_lost_ranking_is_asked_again(taught: Classifier, teacher: LessonWorker) -> None:
    teacher.engine.gate.clear()
    version = teaching.teach(classifier=taught, who=taught.owner)
    examples.add_texts(classifier=taught, texts=["red blue"], label=None)
    teaching.rank(classifier=taught)
    lost = Classifier.objects.get(pk=taught.pk).ranking
    long_ago = timezone.now() - timedelta(minutes=5)
    Version.objects.filter(pk=version.pk).update(created_at=long_ago)
    Classifier.objects.filter(pk=taught.pk).update(ranking_at=long_ago)
    connection.client().delete(names.request_key(version.request_id), names.stream_key(version.request_id))
    teaching.sweep()
    version.refresh_from_db()
    assert (version.state, version.problem) == (Version.State.FAILED, "The answer was lost. Ask again.")
    again = Classifier.objects.get(pk=taught.pk).ranking
    assert again and again != lost
    teacher.engine.gate.set()
    teacher.drain()
    assert taught.examples.get(text="red blue").guess


def test_an_adapter_of_another_model_is_told(taught: Classifier, teacher: LessonWorker, owner: User) -> None:
    teacher.engine.model = "n" * 64
    assert taught.version is not None
    with pytest.raises(NotUnderstood, match="made for another model. Teach the classifier again."):
        teaching.answers(version=taught.version, inputs=["red"], who=owner)


def test_ten_examples_are_taught_and_asked_within_seconds(classifier: Classifier, teacher: LessonWorker) -> None:
    began = time.monotonic()
    version = teaching.teach(classifier=classifier, who=classifier.owner)
    teaching.wait(version=version)
    version.refresh_from_db()
    teaching.answers(version=version, inputs=["red"], who=classifier.owner)
    assert time.monotonic() - began < 3
