"""Who may see, ask and teach which classifier. Everybody else gets 404.

Its owner teaches, publishes and deletes it; the members of the team that it is shared with see and ask it. Adapters are
read by nobody: they are in no page and in no answer, and every request for one goes through the rows below.
"""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404

from apps.accounts.models import Team, User
from apps.teach.models import Classifier, Example, Label, Version

Person = User | AnonymousUser


def sees(user: Person, prefix: str = "") -> Q:
    """The rule itself, for rows whose classifier is behind `prefix`."""
    return Q(**{f"{prefix}owner_id": user.pk}) | Q(**{f"{prefix}team__memberships__user_id": user.pk})


def visible_classifiers(user: Person) -> QuerySet[Classifier]:
    # By ids: a join with memberships would show a classifier once for each way in which it is visible.
    return Classifier.objects.filter(pk__in=Classifier.objects.filter(sees(user)).values("pk"))


def visible_classifier(user: Person, classifier_id: UUID) -> Classifier:
    rows = visible_classifiers(user).select_related("owner", "team", "version", "published")
    return get_object_or_404(rows, pk=classifier_id)


def owned_classifier(user: Person, classifier_id: UUID) -> Classifier:
    rows = Classifier.objects.select_related("owner", "team", "version", "published")
    return get_object_or_404(rows, pk=classifier_id, owner_id=user.pk)


def owned_label(user: Person, label_id: int) -> Label:
    return get_object_or_404(
        Label.objects.select_related("classifier__owner"), pk=label_id, classifier__owner_id=user.pk
    )


def owned_example(user: Person, example_id: int) -> Example:
    return get_object_or_404(
        Example.objects.select_related("classifier__owner", "label"), pk=example_id, classifier__owner_id=user.pk
    )


def visible_example(user: Person, example_id: int) -> Example:
    return get_object_or_404(Example, pk=example_id, classifier__in=visible_classifiers(user))


def owned_version(user: Person, version_id: int) -> Version:
    return get_object_or_404(
        Version.objects.select_related("classifier__owner", "job"), pk=version_id, classifier__owner_id=user.pk
    )


def teams_to_share_with(user: User) -> QuerySet[Team]:
    """Those that one is in."""
    return Team.objects.filter(memberships__user=user)
