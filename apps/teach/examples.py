"""Verbs on classes and examples. Each says that what is taught has changed, so that the page offers to teach again."""

from collections.abc import Iterable

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.teach import sending
from apps.teach.models import Classifier, Example, Label
from contracts.few_shot import MOST_CLASSES, MOST_EXAMPLES, MOST_INPUTS

MOST_CHARS = 2000  # of a text; a window is as long as its numbers
MOST_ROWS = 2000  # of a file


@transaction.atomic
def add_label(*, classifier: Classifier, name: str) -> Label:
    """Raises ValueError(`labels: reason`)."""
    _lock(classifier)
    if classifier.labels.count() >= MOST_CLASSES:
        raise ValueError(f"labels: a classifier has at most {MOST_CLASSES} classes")
    try:
        with transaction.atomic():
            label = classifier.labels.create(name=name.strip()[:60])
    except IntegrityError as error:
        raise ValueError("labels: two have the same name") from error
    touch(classifier)
    return label


def rename_label(*, label: Label, name: str) -> None:
    """Versions that were taught keep the name that they were taught with. Raises ValueError(`labels: reason`)."""
    try:
        with transaction.atomic():
            Label.objects.filter(pk=label.pk).update(name=name.strip()[:60])
    except IntegrityError as error:
        raise ValueError("labels: two have the same name") from error
    touch(label.classifier)


def delete_label(*, label: Label) -> None:
    """With its examples."""
    label.delete()
    touch(label.classifier)


@transaction.atomic
def add_texts(*, classifier: Classifier, texts: Iterable[str], label: Label | None) -> int:
    """Those that are new, cut at MOST_CHARS unless they are windows (windows.py); returns how many. Raises
    ValueError(`examples: reason`)."""
    most = None if classifier.reads == Classifier.Reads.WINDOWS else MOST_CHARS
    wanted = [text for line in texts if (text := line.strip()[:most])]
    _lock(classifier)
    known = set(classifier.examples.filter(text__in=wanted, label=label).values_list("text", flat=True))
    fresh = [text for text in dict.fromkeys(wanted) if text not in known]
    _check_room(classifier, label, len(fresh))
    Example.objects.bulk_create([Example(classifier=classifier, label=label, text=text) for text in fresh])
    if label is not None:
        touch(classifier)
    return len(fresh)


@transaction.atomic
def add_table(*, classifier: Classifier, rows: list[tuple[str, str]]) -> int:
    """Texts with the names of their classes, of which new ones are made; an empty name waits for one. Returns how many
    are new. Raises ValueError."""
    labels = {label.name: label for label in classifier.labels.all()}
    count = 0
    by_name: dict[str, list[str]] = {}
    for text, name in rows:
        by_name.setdefault(name.strip()[:60], []).append(text)
    for name, texts in by_name.items():
        if name and name not in labels:
            labels[name] = add_label(classifier=classifier, name=name)
        count += add_texts(classifier=classifier, texts=texts, label=labels[name] if name else None)
    return count


@transaction.atomic
def add_files(*, classifier: Classifier, files: Iterable[File], label: Label | None) -> int:
    """Pictures or clips, kept as they come; worker-app reads them. What is too large is an example that says so.
    Returns how many. Raises ValueError(`examples: reason`)."""
    if classifier.reads not in (Classifier.Reads.PICTURES, Classifier.Reads.CLIPS):
        raise ValueError("examples: this classifier reads no pictures and no clips")
    received = list(files)
    _lock(classifier)
    _check_room(classifier, label, len(received))
    Example.objects.bulk_create([_received(classifier, file, label) for file in received])
    if label is not None:
        touch(classifier)
    transaction.on_commit(sending.ask_to_read)
    return len(received)


def _received(classifier: Classifier, file: File, label: Label | None) -> Example:
    name = str(file.name).replace("\\", "/").rpartition("/")[2].replace("\x00", "")[:200]
    example = Example(classifier=classifier, label=label, name=name, state=Example.State.WAITING)
    if (file.size or 0) > settings.TEACH_MAX_FILE_MB * 2**20:
        example.state, example.error = Example.State.FAILED, f"The file is larger than {settings.TEACH_MAX_FILE_MB} MB."
        return example
    file.name = "example"  # what it is called is no matter of the storage
    example.file = file  # type: ignore[assignment]
    return example


@transaction.atomic
def give_label(*, example: Example, label: Label) -> None:
    """Also to one that has another. Raises ValueError(`examples: reason`)."""
    _lock(example.classifier)
    if example.label_id != label.pk:
        _check_room(example.classifier, label, 1)
    Example.objects.filter(pk=example.pk).update(label=label, guess="", share=None, doubt=None)
    touch(example.classifier)


@transaction.atomic
def delete(*, example: Example) -> None:
    """With its picture or clip and the bytes of that (stored.py)."""
    example.delete()
    if example.label_id is not None:
        touch(example.classifier)


def clear_unlabelled(*, classifier: Classifier) -> int:
    """Forget what waits for a label; returns how many."""
    count = 0
    for example in classifier.examples.filter(label=None):
        example.delete()
        count += 1
    return count


def touch(classifier: Classifier) -> None:
    """What is taught has changed."""
    Classifier.objects.filter(pk=classifier.pk).update(changed_at=timezone.now())


def _lock(classifier: Classifier) -> None:
    """What is counted must not change until it is added to."""
    Classifier.objects.select_for_update(no_key=True).get(pk=classifier.pk)


def _check_room(classifier: Classifier, label: Label | None, more: int) -> None:
    there = classifier.examples.filter(label=label).count()
    if label is None and there + more > MOST_INPUTS:
        raise ValueError(f"examples: at most {MOST_INPUTS} wait for a class; {there} are there, {more} would come")
    if label is not None and there + more > MOST_EXAMPLES:
        raise ValueError(f"examples: a class has at most {MOST_EXAMPLES}; {there} are there, {more} would come")
