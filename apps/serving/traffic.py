"""Shares of traffic: they sum to 100 over the revisions of a deployment that has any."""

from collections.abc import Iterable, Mapping

from apps.audit.services import record
from apps.serving.models import Deployment, Revision
from apps.serving.states import State


def scaled(weights: Mapping[int, int], total: int) -> dict[int, int]:
    """The same proportions with another sum; whole per cents by largest remainder."""
    whole = sum(weights.values())
    if not whole:
        return dict(weights)
    exact = {number: weight * total / whole for number, weight in weights.items()}
    result = {number: int(value) for number, value in exact.items()}
    by_remainder = sorted(exact, key=lambda number: (result[number] - exact[number], number))
    for number in by_remainder[: total - sum(result.values())]:
        result[number] += 1
    return result


def weights_of(deployment: Deployment) -> dict[int, int]:
    """Per cent by number, of the revisions that are wanted."""
    return dict(deployment.revisions.filter(is_wanted=True).order_by("number").values_list("number", "weight"))


def write_weights(deployment: Deployment, weights: Mapping[int, int]) -> dict[int, list[int]]:
    """Store the weights (0 for whom they do not name); returns what changed: number -> [before, after]."""
    changed = {}
    for revision in deployment.revisions.all():
        after = weights.get(revision.number, 0)
        if revision.weight != after:
            changed[revision.number] = [revision.weight, after]
            deployment.revisions.filter(pk=revision.pk).update(weight=after)
    return changed


def take_over(revisions: Iterable[Revision]) -> None:
    """Give all traffic to each revision that was to have it once it is READY, which it now is.

    The revision that had most of it stays loaded, to be gone back to; the others are stopped.
    """
    revisions = list(revisions)
    for revision in revisions:
        if not revision.takes_over or revision.state != State.READY:
            continue
        siblings = [one for one in revisions if one.deployment_id == revision.deployment_id and one.pk != revision.pk]
        kept = max(siblings, key=lambda one: (one.weight, one.number), default=None)
        changed = write_weights(revision.deployment, {revision.number: 100})
        Revision.objects.filter(pk=revision.pk).update(takes_over=False)
        for one in [revision, *siblings]:
            one.takes_over = one.takes_over and one is not revision
            one.weight = 100 if one is revision else 0
            if one not in (revision, kept) and not one.takes_over:
                one.is_wanted = False
                Revision.objects.filter(pk=one.pk).update(is_wanted=False)
        record(
            action="deployment.took_over",
            target=revision.deployment,
            part="reconciler",
            revision=revision.number,
            weights=changed,
        )
