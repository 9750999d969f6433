"""Classes and examples: what is new, what is full, pictures that are read and that cannot be."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import User
from apps.quotas.models import LedgerEntry
from apps.teach import classifiers, examples, reading, teaching
from apps.teach.models import Classifier, Example, Version
from contracts.few_shot import MOST_CLASSES, MOST_EXAMPLES
from tests.apps.search.conftest import png
from tests.apps.teach.conftest import LessonWorker, label_of, teach

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_texts_are_added_once(classifier: Classifier) -> None:
    red = label_of(classifier, "red")
    assert examples.add_texts(classifier=classifier, texts=["  red  ", "new", "new", " "], label=red) == 1
    assert examples.add_texts(classifier=classifier, texts=["new"], label=None) == 1  # not known of which class


def test_classes_and_examples_have_limits(classifier: Classifier) -> None:
    red = label_of(classifier, "red")
    with pytest.raises(ValueError, match="examples: a class has at most 20; 3 are there, 18 would come"):
        examples.add_texts(classifier=classifier, texts=[f"text {n}" for n in range(18)], label=red)
    assert red.examples.count() == 3
    examples.add_texts(classifier=classifier, texts=[f"text {n}" for n in range(MOST_EXAMPLES - 3)], label=red)
    with pytest.raises(ValueError, match="labels: two have the same name"):
        examples.add_label(classifier=classifier, name="red ")
    for number in range(MOST_CLASSES - 2):
        examples.add_label(classifier=classifier, name=f"class {number}")
    with pytest.raises(ValueError, match="labels: a classifier has at most 20 classes"):
        examples.add_label(classifier=classifier, name="one more")


def test_a_table_brings_its_classes(classifier: Classifier) -> None:
    rows = [("scarlet", "red"), ("grass", "green"), ("unsure", "")]
    assert examples.add_table(classifier=classifier, rows=rows) == 3
    assert list(classifier.labels.values_list("name", flat=True)) == ["red", "blue", "green"]
    assert classifier.examples.get(text="unsure").label is None


def test_pictures_are_read_taught_and_go_with_their_bytes(
    owner: User, teacher: LessonWorker, media: Path, settings: Any
) -> None:
    made = classifiers.create(owner=owner, name="Pictures", reads="images", labels=["red", "blue"])
    for name in ("red", "blue"):
        files = [SimpleUploadedFile(f"{name}{n}.png", png(name, size=(40, 20 + n))) for n in range(3)]
        examples.add_files(classifier=made, files=files, label=label_of(made, name))
    broken = [
        SimpleUploadedFile("a.png", b"no"),
        SimpleUploadedFile("large.png", b"0" * (settings.TEACH_MAX_FILE_MB * 2**20 + 1)),
    ]
    examples.add_files(classifier=made, files=broken, label=label_of(made, "red"))
    assert list(made.examples.filter(state=Example.State.FAILED).values_list("name", "error")) == [
        ("a.png", "The file is no picture that can be read: JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF."),
        ("large.png", "The file is larger than 10 MB."),
    ]
    assert made.examples.filter(state=Example.State.READY).exclude(picture="").count() == 6
    assert not list((media / "teach/incoming").iterdir())  # what came is not kept
    version = teach(made, teacher)
    assert version.state == Version.State.READY and version.report is not None and version.report["right"] == 6
    held = sum(LedgerEntry.objects.filter(source__startswith="example:").values_list("stored_bytes", flat=True))
    assert held > 0
    classifiers.delete(classifier=Classifier.objects.get(pk=made.pk), actor=owner)
    assert sum(LedgerEntry.objects.filter(source__startswith="example:").values_list("stored_bytes", flat=True)) == 0
    assert not [one for one in (media / "teach").rglob("*") if one.is_file()]


def test_pictures_without_a_class_are_asked_about_when_they_are_read(owner: User, teacher: LessonWorker) -> None:
    made = classifiers.create(owner=owner, name="Pictures", reads="images", labels=["red", "blue"])
    for name in ("red", "blue"):
        files = [SimpleUploadedFile(f"{n}.png", png(name, size=(40, 20 + n))) for n in range(2)]
        examples.add_files(classifier=made, files=files, label=label_of(made, name))
    teach(made, teacher)
    examples.add_files(classifier=made, files=[SimpleUploadedFile("x.png", png("red", "blue"))], label=None)
    teacher.drain()
    assert made.examples.get(name="x.png").doubt is not None


def test_a_picture_at_which_readers_end_is_given_up(classifier: Classifier) -> None:
    row = Example.objects.create(classifier=classifier, name="a.png", state=Example.State.READING, attempts=3,
                                 claimed_at="2020-01-01T00:00Z")  # fmt: skip
    reading.sweep()
    row.refresh_from_db()
    assert (row.state, row.error) == (
        Example.State.FAILED, "The program that reads pictures ended several times at this file.",
    )  # fmt: skip


def test_deleting_a_class_takes_its_examples_and_leaves_versions(taught: Classifier, owner: User) -> None:
    examples.delete_label(label=label_of(taught, "red"))
    assert taught.examples.count() == 3
    assert taught.version is not None and taught.version.names == ["red", "blue"]
    (answer,) = teaching.answers(version=taught.version, inputs=["red"], who=owner)
    assert answer["shares"][0][0] == "red"
