"""Takes traffic back by itself from a revision that does worse than its deployment allows."""

import structlog
from django.db import transaction
from django.db.models import Q

from apps.serving import stats
from apps.serving.deployments import roll_back
from apps.serving.models import Deployment, Revision
from apps.serving.signals import rolled_back
from apps.serving.states import State

log = structlog.get_logger()


def watch(*, now: float | None = None) -> list[str]:
    """Roll back deployments whose newest revision with traffic breaks a limit; returns their names.

    Only where an earlier revision is READY to take over. Nothing is judged by fewer requests than the
    deployment says, nor by what happened before the revision was loaded (its counters are its own).
    """
    taken_back = []
    for deployment, newest in _watched():
        figures = stats.over([newest.key], seconds=deployment.guard_window, now=now)[newest.key]
        if reason := breach(deployment, figures):
            log.warning("guard rolls back", deployment=deployment.name, revision=newest.number, reason=reason)
            with transaction.atomic():
                to = roll_back(actor=None, deployment=deployment, part="guard", reason=reason)
                rolled_back.send(sender=Deployment, deployment=deployment, revision=newest, to=to, reason=reason)
            taken_back.append(deployment.name)
    return taken_back


def breach(deployment: Deployment, figures: stats.Stats) -> str:
    """Which limit the figures break, with both numbers; empty when none."""
    if figures.requests < deployment.guard_min_requests:
        return ""
    limit = deployment.guard_error_rate
    if limit is not None and figures.error_rate > limit:
        return f"{figures.errors} of {figures.requests} requests failed, {limit:.0%} are allowed"
    slowest, p95 = deployment.guard_p95_seconds, figures.percentile(0.95)
    if slowest is not None and p95 is not None and p95 > slowest:
        return f"the 95th percentile is {p95:.2f} s, {slowest:.2f} s are allowed"
    return ""


def _watched() -> list[tuple[Deployment, Revision]]:
    """Guarded deployments with traffic on a revision that an earlier READY one can stand in for."""
    guarded = Q(guard_error_rate__isnull=False) | Q(guard_p95_seconds__isnull=False)
    found = []
    for deployment in Deployment.objects.filter(guarded).prefetch_related("revisions"):
        revisions = sorted(deployment.revisions.all(), key=lambda one: -one.number)
        newest = next((one for one in revisions if one.weight and one.is_wanted), None)
        earlier = [one for one in revisions if newest and one.number < newest.number]
        if newest is not None and any(one.state == State.READY and one.is_wanted for one in earlier):
            newest.deployment = deployment
            found.append((deployment, newest))
    return found
