"""From examples to a version, from a version to answers. Every change of a row is conditional: what an answer says is
stored once, whoever hears of it first, the page that waits or the settler.

A version belongs to the model that it was taught with: an adapter goes to no other (contracts/few_shot.py).
"""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from apps.accounts.models import APIKey, User
from apps.files import storing
from apps.quotas import services as quotas
from apps.quotas.waiting import ask, ended
from apps.quotas.words import NOT_NOW
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.requests import Transcript
from apps.serving.services import Target
from apps.teach import noticing, windows
from apps.teach.models import Classifier, Example, Version
from contracts.few_shot import LEAST_CLASSES, MOST_INPUTS, TASK

PATIENCE = 2.5  # seconds that a page waits for a lesson before it shows that it goes on
_LOST_AFTER = timedelta(minutes=2)
_LOST = "The answer was lost. Ask again."
_NONE = 2.0  # doubt of what belongs to no class


def teach(*, classifier: Classifier, who: User) -> Version:
    """A new version is being taught with all examples that have a class. Raises ValueError(`examples: reason`), and
    what quotas.submit raises; nothing is stored then."""
    rows, labels, lesson = lesson_of(classifier)
    target, began = target_of(classifier), timezone.now()
    request = serving.build_request(
        target=target, inputs={"adapt": lesson, **inputs_of(classifier, rows)}, tenant=str(who.pk), is_streamed=False
    )
    with transaction.atomic():
        version = begin(
            classifier, labels=labels, examples=[row.pk for row in rows], created_at=began,
            request_id=request.request_id,
        )  # fmt: skip
        quotas.submit(request=request, who=who, target=target)
    return version


def begin(classifier: Classifier, **values: Any) -> Version:
    """The next version. Within a transaction, which holds the classifier: no two have the same number."""
    Classifier.objects.select_for_update(no_key=True).get(pk=classifier.pk)
    newest = classifier.versions.aggregate(newest=Max("number"))["newest"] or 0
    return Version.objects.create(classifier=classifier, number=newest + 1, **values)


def lesson_of(classifier: Classifier) -> tuple[list[Example], list[tuple[int, str]], dict[str, Any]]:
    """All examples that have a class, ids and names of these classes, and the lesson that they make
    (contracts/few_shot.py). Raises ValueError(`examples: reason`)."""
    rows = list(classifier.examples.filter(label__isnull=False, state=Example.State.READY))
    present = {row.label_id for row in rows}
    labels = [(label.pk, label.name) for label in classifier.labels.all() if label.pk in present]
    if len(labels) < LEAST_CLASSES:
        raise ValueError("examples: at least two classes need one")
    places = {pk: place for place, (pk, _name) in enumerate(labels)}
    return rows, labels, {"labels": [places[row.label_id] for row in rows], "classes": len(labels)}


def wait(*, version: Version) -> None:
    """For a moment: most are learned by then."""
    try:
        transcript = ended(version.request_id, PATIENCE)
    except serving.NoWorker:
        return
    if transcript is not None:
        take_in(request_id=version.request_id, transcript=transcript)


def take_in(*, request_id: str, transcript: Transcript) -> None:
    """Store what a request says of a version or of a ranking. Idempotent."""
    version = Version.objects.filter(request_id=request_id, state=Version.State.TEACHING).first()
    if version is not None:
        _learned(version, transcript)
        return
    classifier = Classifier.objects.filter(ranking=request_id).select_related("version").first()
    if classifier is not None:
        _ranked(classifier, transcript)


@transaction.atomic
def _learned(version: Version, transcript: Transcript) -> None:
    result = transcript.result
    values: dict[str, Any] = {"state": Version.State.FAILED, "problem": _problem(transcript)}
    if result:
        values = {"state": Version.State.READY, "adapter": result["adapter"], "report": result["report"]}
    teaching = Version.objects.filter(pk=version.pk, state=Version.State.TEACHING)
    if not teaching.update(ended_at=timezone.now(), **values):
        return
    version.refresh_from_db()
    if result:
        put_to_work(version)
    if (version.seconds or 0) > PATIENCE:  # its page has stopped waiting
        noticing.of_lesson(version)


def put_to_work(version: Version) -> None:
    """It answers from now on, and is asked about all that waits for a class. One that was asked for later and came
    first stays."""
    older = Q(version=None) | Q(version__number__lt=version.number)
    Classifier.objects.filter(older, pk=version.classifier_id).update(version=version)
    waiting = version.classifier.examples.filter(label=None)
    waiting.update(doubt=None, share=None, guess="")
    if waiting.exists():
        transaction.on_commit(lambda: rank(classifier=Classifier.objects.get(pk=version.classifier_id)))


def answers(*, version: Version, inputs: Sequence[Any], who: User | APIKey) -> list[dict[str, Any]]:
    """What a version says of texts, of pictures or clips as base64, or of windows: for each {"shares": [[name, share]],
    the largest first, "distance", "is_none"}. Raises NotUnderstood, and what quotas.submit raises."""
    classifier = version.classifier
    sent = {"adapter": version.adapter, classifier.reads: list(inputs)}
    return [answer_of(version, one) for one in ask(target_of(classifier), sent, who)["items"]]


def answer_of(version: Version, said: dict[str, Any]) -> dict[str, Any]:
    pairs = sorted(zip(version.names, said["shares"], strict=True), key=lambda pair: -pair[1])
    return {"shares": [list(pair) for pair in pairs], "distance": said["distance"], "is_none": said["is_none"]}


# -- what to label next ----------------------------------------------------------------------------


def rank(*, classifier: Classifier) -> bool:
    """Ask the version what it makes of all that has no label and was not asked about. In the owner's name. False when
    there is nothing to ask, or when it cannot be asked now; the sweep tries again."""
    if classifier.version is None or classifier.ranking:
        return False
    rows = list(classifier.examples.filter(label=None, state=Example.State.READY, doubt=None)[:MOST_INPUTS])
    if not rows:
        return False
    try:
        target = target_of(classifier)
        inputs = {"adapter": classifier.version.adapter, **inputs_of(classifier, rows)}
        request = serving.build_request(
            target=target, inputs=inputs, tenant=str(classifier.owner_id), is_streamed=False
        )
        with transaction.atomic():
            free = Classifier.objects.filter(pk=classifier.pk, ranking="")
            if not free.update(ranking=request.request_id, ranked=[row.pk for row in rows], ranking_at=timezone.now()):
                return False
            quotas.submit(request=request, who=classifier.owner, target=target)
    except NOT_NOW:
        return False
    return True


def _ranked(classifier: Classifier, transcript: Transcript) -> None:
    mine = Classifier.objects.filter(pk=classifier.pk, ranking=classifier.ranking)
    with transaction.atomic():
        if not mine.update(ranking="", ranked=[]) or classifier.version is None:
            return
        found = {}
        for pk, said in zip(classifier.ranked, (transcript.result or {}).get("items", []), strict=False):
            answer = answer_of(classifier.version, said)
            (guess, share), (_second, next_share) = answer["shares"][:2]
            found[pk] = (guess, share, _NONE if answer["is_none"] else 1 - (share - next_share))
        rows = list(Example.objects.filter(pk__in=found, label=None))
        for row in rows:
            row.guess, row.share, row.doubt = found[row.pk]
        Example.objects.bulk_update(rows, ["guess", "share", "doubt"])


# -- after a loss ----------------------------------------------------------------------------------


def sweep() -> None:
    """End what nobody will answer any more, and ask again where something still waits."""
    long_ago = timezone.now() - _LOST_AFTER
    for version in Version.objects.filter(state=Version.State.TEACHING, created_at__lt=long_ago):
        transcript = requests.transcript(version.request_id)
        if transcript.is_finished or requests.payload_of(version.request_id) is None:
            _learned(version, transcript)
    lost = Classifier.objects.exclude(ranking="").filter(ranking_at__lt=long_ago)
    lost.update(ranking="", ranked=[])
    waiting = Example.objects.filter(label=None, state=Example.State.READY, doubt=None)
    for classifier in Classifier.objects.filter(
        pk__in=waiting.values("classifier_id"), version__isnull=False, ranking=""
    ).select_related("version", "owner"):
        rank(classifier=classifier)


def target_of(classifier: Classifier) -> Target:
    return serving.choose_deployment(classifier.deployment, task=TASK)


def inputs_of(classifier: Classifier, rows: Sequence[Example]) -> dict[str, list[Any]]:
    if classifier.reads == Classifier.Reads.TEXTS:
        return {classifier.reads: [row.text for row in rows]}
    if classifier.reads == Classifier.Reads.WINDOWS:
        return {classifier.reads: [windows.numbers(row.text) for row in rows]}
    return {classifier.reads: [base64.b64encode(storing.read(row.kept)).decode() for row in rows]}


def _problem(transcript: Transcript) -> str:
    return str(transcript.error.get("message") or _LOST)[:400]
