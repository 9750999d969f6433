"""What the owner of a classifier finds in their notices: lessons that nobody waited for, and what refining came to."""

from django.urls import reverse
from django.utils.translation import gettext_noop

from apps.accounts.models import User
from apps.notices.models import Kind, Level
from apps.notices.permissions import known, shown_when
from apps.notices.services import notify
from apps.teach.models import Version
from apps.teach.permissions import visible_classifiers

State = Version.State
_TAUGHT = {
    State.READY: gettext_noop("{name}: version {number} was taught."),
    State.FAILED: gettext_noop("{name}: version {number} could not be taught: {reason}"),
}
_REFINED = {
    State.READY: gettext_noop("{name}: version {number} was refined and is better than before."),
    State.NO_GAIN: gettext_noop("{name}: refining brought nothing, the version before stays."),
    State.FAILED: gettext_noop("{name}: version {number} could not be refined: {reason}"),
}


@shown_when(Kind.CLASSIFIER)
def _classifiers(user: User, subjects: set[str]) -> set[str]:
    return known(visible_classifiers(user), subjects)


def of_lesson(version: Version) -> None:
    _tell(version, _TAUGHT[State(version.state)])


def of_refining(version: Version) -> None:
    _tell(version, _REFINED[State(version.state)])


def _tell(version: Version, message: str) -> None:
    classifier = version.classifier
    notify(
        to=[classifier.owner_id], kind=Kind.CLASSIFIER, subject=classifier.pk, message=message,
        level=Level.ERROR if version.state == State.FAILED else Level.INFO,
        link=reverse("teach:page", args=[classifier.pk]),
        values={"name": classifier.name, "number": version.number, "reason": version.problem},
    )  # fmt: skip
