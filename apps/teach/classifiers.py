"""Verbs on classifiers and on their versions that are there."""

from typing import Any

from django.db import transaction

from apps.accounts.models import Team, User
from apps.audit.services import record
from apps.serving import services as serving
from apps.serving.models import Revision
from apps.teach import examples, refining
from apps.teach.models import Classifier, Version
from contracts.few_shot import TASK


def model_for(reads: str) -> str:
    """Name of the deployment that reads these; the one that is ready, if any. Raises NoWorker when there is none."""
    rows = Revision.objects.filter(version__model__task=TASK, is_wanted=True, version__manifest__reads=reads)
    names = rows.order_by("deployment__created_at").values_list("deployment__name", "state")
    for name, state in names:
        if state == Revision.State.READY:
            return name
    for name, _state in names:
        return name
    raise serving.NoWorker("No model is deployed that learns from examples of this kind.", retry_after=30)


@transaction.atomic
def create(*, owner: User, name: str, reads: str, labels: list[str], team: Team | None = None) -> Classifier:
    """With its classes and no examples. Raises ValueError(`team: …`, `labels: …`), NoWorker."""
    made = Classifier.objects.create(
        owner=owner, name=name, reads=reads, deployment=model_for(reads), team=_shared(owner, team)
    )
    for label in labels:
        examples.add_label(classifier=made, name=label)
    return made


def change(*, classifier: Classifier, name: str, team: Team | None) -> None:
    """Raises ValueError(`team: reason`)."""
    classifier.name, classifier.team = name, _shared(classifier.owner, team)
    classifier.save(update_fields=["name", "team"])


@transaction.atomic
def delete(*, classifier: Classifier, actor: User, address: str | None = None) -> None:
    """With its examples, their files and bytes (stored.py), and its versions; what is being refined ends. Writes the
    audit log."""
    for version in classifier.versions.filter(state=Version.State.REFINING).select_related("job"):
        refining.cancel(version=version, actor=actor, address=address)
    record(action="classifier.delete", target=classifier, actor=actor, address=address)
    classifier.delete()


def use(*, version: Version) -> None:
    """An earlier version answers again, or a later one. Raises ValueError for one that is not ready."""
    _check(version)
    Classifier.objects.filter(pk=version.classifier_id).update(version=version)


@transaction.atomic
def publish(*, version: Version, actor: User, address: str | None = None) -> None:
    """From now on it answers keys. Writes the audit log. Raises ValueError for one that is not ready."""
    _check(version)
    Classifier.objects.filter(pk=version.classifier_id).update(published=version)
    record(action="classifier.publish", target=version.classifier, actor=actor, address=address, number=version.number)


@transaction.atomic
def withdraw(*, classifier: Classifier, actor: User, address: str | None = None) -> bool:
    """Keys get no answer any more. Writes the audit log. False when it was not published."""
    if not Classifier.objects.filter(pk=classifier.pk, published__isnull=False).update(published=None):
        return False
    record(action="classifier.withdraw", target=classifier, actor=actor, address=address)
    return True


def _check(version: Version) -> None:
    if version.state != Version.State.READY:
        raise ValueError("version: is not ready")


def _shared(owner: User, team: Team | None) -> Any:
    if team is not None and not team.memberships.filter(user=owner).exists():
        raise ValueError("team: is none that you are in")
    return team
