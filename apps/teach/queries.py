"""What the pages show."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, QuerySet

from apps.accounts.models import User
from apps.serving.models import Revision
from apps.serving.queries import deployment_states
from apps.teach.models import Classifier, Example, Label, Version
from apps.teach.permissions import visible_classifiers
from contracts.few_shot import LEAST_REFINED, MOST_EXAMPLES, TASK

_CELL = 56  # pixels of a cell of the confusion picture
_VERSIONS = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """A class, its examples, and how many of them were told right when they were left out."""

    label: Label
    examples: list[Example]
    judged: int = 0
    right: int = 0

    @property
    def ready(self) -> int:
        return sum(one.state == Example.State.READY for one in self.examples)

    @property
    def share(self) -> float | None:
        return self.right / self.judged if self.judged else None

    @property
    def is_full(self) -> bool:
        return len(self.examples) >= MOST_EXAMPLES


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An example that the others tell as something else."""

    example: Example
    guess: str
    share: float  # that its own class got


@dataclass(frozen=True, slots=True)
class Cell:
    x: int
    y: int
    count: int
    is_right: bool
    opacity: str

    @property
    def middle(self) -> float:
        return self.x + (_CELL - 3) / 2

    @property
    def foot(self) -> int:
        return self.y + 33


@dataclass(frozen=True, slots=True)
class Confusion:
    """The picture, in pixels. Names are cut to fit; the title of each has the whole."""

    cells: list[Cell]
    rows: list[tuple[str, str, int]]  # name, short, y
    columns: list[tuple[str, str, float]]  # name, short, x
    width: int
    height: int
    cell: int = _CELL - 3

    @property
    def middle(self) -> int:
        return self.width // 2


@dataclass(slots=True)
class Page:
    """All of one classifier's page, in a fixed number of queries."""

    classifier: Classifier
    classes: list[Judged]
    unlabelled: list[Example]
    versions: list[Version]
    teaching: Version | None = None
    refining: Version | None = None
    tried: Version | None = None  # refined last, and no better for it
    failed: Version | None = None
    disagreements: list[Disagreement] = field(default_factory=list)
    confusion: Confusion | None = None
    weakest: Judged | None = None

    @property
    def examples(self) -> int:
        return sum(len(one.examples) for one in self.classes)

    @property
    def taught(self) -> int:
        return sum(bool(one.ready) for one in self.classes)

    @property
    def can_teach(self) -> bool:
        return self.taught > 1 and self.teaching is None

    @property
    def can_refine(self) -> bool:
        """What is judged has enough of each class."""
        counts = [one.ready for one in self.classes if one.ready]
        return len(counts) > 1 and min(counts) >= LEAST_REFINED and not (self.teaching or self.refining)

    @property
    def reading(self) -> int:
        every = [*self.unlabelled, *(one for each in self.classes for one in each.examples)]
        return sum(one.state in (Example.State.WAITING, Example.State.READING) for one in every)

    @property
    def is_busy(self) -> bool:
        return bool(self.teaching or self.refining or self.reading) or bool(self.classifier.ranking)

    @property
    def missing(self) -> int:
        """Examples until every class can be judged."""
        return sum(max(0, 2 - one.ready) for one in self.classes)


def classifiers_of(user: User) -> QuerySet[Classifier]:
    """Those one sees, with how many `classes` and `shown` examples they have."""
    rows = visible_classifiers(user).select_related("owner", "team", "version", "published")
    labelled = Count("examples", filter=Q(examples__label__isnull=False), distinct=True)
    return rows.defer("version__adapter", "published__adapter").annotate(
        classes=Count("labels", distinct=True), shown=labelled
    )


def models() -> set[str]:
    """What can be taught: texts, pictures, clips, windows, by what is deployed."""
    names = [state.name for state in deployment_states(TASK)]
    rows = Revision.objects.filter(deployment__name__in=names, version__model__task=TASK, is_wanted=True)
    return set(rows.values_list("version__manifest__reads", flat=True))


def page(classifier: Classifier) -> Page:
    labels, examples = list(classifier.labels.all()), list(classifier.examples.all())
    versions = list(classifier.versions.select_related("job").defer("adapter")[:_VERSIONS])
    by_label: dict[int | None, list[Example]] = {}
    for example in examples:
        by_label.setdefault(example.label_id, []).append(example)
    counts = _counts(classifier.version)
    classes = [Judged(label, by_label.get(label.pk, []), *counts.get(label.pk, (0, 0))) for label in labels]
    unlabelled = sorted(by_label.get(None, []), key=lambda one: (one.doubt is None, -(one.doubt or 0.0), one.pk))
    newest = versions[0] if versions else None
    found = Page(classifier, classes, unlabelled, versions)
    if newest is not None:
        found.teaching = newest if newest.state == Version.State.TEACHING else None
        found.tried = newest if newest.state == Version.State.NO_GAIN else None
        found.failed = newest if newest.state == Version.State.FAILED else None
    found.refining = next((one for one in versions if one.state == Version.State.REFINING), None)
    if classifier.version is not None and classifier.version.report:
        found.disagreements = _disagreements(classifier.version, {one.pk: one for one in examples})
        found.confusion = confusion(classifier.version)
        judged = [one for one in classes if one.judged and one.right < one.judged]
        found.weakest = min(judged, key=lambda one: one.share or 0.0, default=None)
    return found


def confusion(version: Version) -> Confusion:
    """Shares of a row decide how strong a cell is."""
    rows: list[list[int]] = (version.report or {})["confusion"]
    left, top, cells = 84, 44, []
    for y, row in enumerate(rows):
        for x, count in enumerate(row):
            opacity = 0.15 + 0.5 * count / max(1, sum(row)) if count else 0.0
            cells.append(Cell(left + _CELL * x, top + _CELL * y, count, x == y, f"{opacity:.2f}"))
    names = version.names
    return Confusion(
        cells, [(name, _short(name, 11), top + _CELL * place + 32) for place, name in enumerate(names)],
        [(name, _short(name, 8), left + _CELL * place + (_CELL - 3) / 2) for place, name in enumerate(names)],
        left + _CELL * len(names), top + _CELL * len(names),
    )  # fmt: skip


def _counts(version: Version | None) -> dict[int, tuple[int, int]]:
    """By class how many were judged, and how many of them right."""
    if version is None or not version.report:
        return {}
    rows = zip(version.labels, version.report["confusion"], strict=True)
    return {pk: (sum(row), row[place]) for place, ((pk, _name), row) in enumerate(rows)}


def _disagreements(version: Version, examples: dict[int, Example]) -> list[Disagreement]:
    """The surest mistakes first."""
    report: dict[str, Any] = version.report or {}
    places = {pk: place for place, (pk, _name) in enumerate(version.labels)}
    found = []
    for pk, guess, share in zip(version.examples, report["guesses"], report["shares"], strict=True):
        example = examples.get(pk)
        if example is None or guess is None or places.get(example.label_id or 0, guess) == guess:
            continue
        found.append(Disagreement(example, version.names[guess], share))
    return sorted(found, key=lambda one: one.share)


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
