"""What the apps below this one say by signals, and becomes notices."""

from typing import Any

from django.dispatch import receiver
from django.urls import reverse
from django.utils.translation import gettext_noop

from apps.accounts.models import ADMINISTRATORS, Invitation, User
from apps.accounts.permissions import is_administrator
from apps.accounts.signals import invitation_accepted
from apps.audit.queries import newest_act
from apps.jobs.models import Job
from apps.jobs.signals import job_ended
from apps.notices.models import Kind, Level
from apps.notices.services import notify
from apps.registry.services import IMPORT, TRAIN
from apps.serving.models import Deployment, Revision
from apps.serving.signals import revision_failed, rolled_back
from contracts.adaptation import ADAPT_JOB

# Of the jobs whose page is the console's; those of detectors and classifiers are told where they belong.
_ENDED = {
    IMPORT: {
        Job.State.SUCCEEDED: gettext_noop("{name} was imported."),
        Job.State.FAILED: gettext_noop("The import of {name} failed: {reason}"),
        Job.State.CANCELLED: gettext_noop("The import of {name} was cancelled by {who}."),
    },
    TRAIN: {
        Job.State.SUCCEEDED: gettext_noop("{name} was trained."),
        Job.State.FAILED: gettext_noop("The training of {name} failed: {reason}"),
        Job.State.CANCELLED: gettext_noop("The training of {name} was cancelled by {who}."),
    },
    ADAPT_JOB: {
        Job.State.SUCCEEDED: gettext_noop("{name} was adapted."),
        Job.State.FAILED: gettext_noop("The adaptation of {name} failed: {reason}"),
        Job.State.CANCELLED: gettext_noop("The adaptation of {name} was cancelled by {who}."),
    },
}


@receiver(job_ended)
def tell_of_job(job: Job, **kwargs: Any) -> None:
    """Who asked for it. In the transaction that stores the end; what one has cancelled oneself one knows."""
    if job.created_by_id is None or job.kind not in _ENDED:
        return
    values = {"name": job.title, "reason": job.reason}
    if job.state == Job.State.CANCELLED:
        act = newest_act("job.cancel", job)
        if act is None or act.actor_id == job.created_by_id:
            return
        values = {"name": job.title, "who": act.actor_label}
    notify(
        to=[job.created_by_id], kind=Kind.JOB, subject=job.pk, message=_ENDED[job.kind][Job.State(job.state)],
        level=Level.ERROR if job.state == Job.State.FAILED else Level.INFO,
        link=reverse("console:job", args=[job.pk]), values=values,
    )  # fmt: skip


@receiver(revision_failed)
def tell_of_failure(revision: Revision, reason: str, **kwargs: Any) -> None:
    _tell_of_deployment(
        revision.deployment, revision.number, gettext_noop("{deployment} v{number} failed: {reason}"), Level.ERROR,
        {"reason": reason},
    )  # fmt: skip


@receiver(rolled_back)
def tell_of_roll_back(deployment: Deployment, revision: Revision, to: Revision, reason: str, **kwargs: Any) -> None:
    _tell_of_deployment(
        deployment, revision.number, gettext_noop("The guard took {deployment} back from v{number} to v{to}: {reason}"),
        Level.WARNING, {"to": to.number, "reason": reason},
    )  # fmt: skip


@receiver(invitation_accepted)
def tell_of_acceptance(invitation: Invitation, user: User, **kwargs: Any) -> None:
    """Who has sent it."""
    host = invitation.invited_by
    if host is None or host == user:
        return
    if is_administrator(host):
        link = reverse("accounts:person", args=[user.pk])
    else:
        link = reverse("accounts:team", args=[invitation.team_id])
    notify(
        to=[host], kind=Kind.INVITATION, subject=invitation.pk, link=link,
        message=gettext_noop("{name} has accepted your invitation."), values={"name": user.label},
    )  # fmt: skip


def _tell_of_deployment(deployment: Deployment, number: int, message: str, level: Level, more: dict[str, Any]) -> None:
    """A deployment is the organisation's: all administrators are told."""
    administrators = User.objects.filter(role__in=ADMINISTRATORS, is_active=True)
    notify(
        to=administrators.values_list("pk", flat=True), kind=Kind.DEPLOYMENT, subject=f"{deployment.name}@{number}",
        message=message, level=level, link=reverse("console:deployment", args=[deployment.name]),
        values={"deployment": deployment.name, "number": number, **more},
    )  # fmt: skip
