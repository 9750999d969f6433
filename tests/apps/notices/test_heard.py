"""What lower apps say becomes notices: jobs, deployments, invitations."""

from typing import Any

import pytest

from apps.accounts.invitations import accept, invite
from apps.accounts.models import Membership, Role, Team, User
from apps.audit.services import record
from apps.jobs.models import Job
from apps.jobs.signals import job_ended
from apps.notices.heard import tell_of_job
from apps.notices.models import Notice
from apps.notices.queries import lines
from apps.serving import deployments, guard, reconcile, stats
from apps.serving.models import Deployment, Revision
from apps.serving.states import Observed, State

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def admin(owner: User) -> User:
    User.objects.filter(pk=owner.pk).update(role=Role.ADMIN)
    return User.objects.get(pk=owner.pk)


def told(user: User) -> list[tuple[str, str, str]]:
    found = lines(user, Notice.objects.filter(reader=user))
    return [(line.notice.level, line.text, line.link) for line in found]


def ended(by: User | None, **fields: Any) -> Job:
    job = Job.objects.create(**{"kind": "train", "title": "V3", "created_by": by, **fields})
    job_ended.send(sender=Job, job=job)
    return job


@pytest.mark.parametrize(
    ("kind", "state", "level", "text"),
    [
        ("train", "SUCCEEDED", "info", "V3 was trained."),
        ("import_model", "SUCCEEDED", "info", "V3 was imported."),
        ("adapt_model", "SUCCEEDED", "info", "V3 was adapted."),
        ("train", "FAILED", "error", "The training of V3 failed: No memory."),
        ("import_model", "FAILED", "error", "The import of V3 failed: No memory."),
        ("adapt_model", "FAILED", "error", "The adaptation of V3 failed: No memory."),
    ],
)
def test_who_asked_for_a_job_hears_how_it_ended(admin: User, kind: str, state: str, level: str, text: str) -> None:
    job = Job.objects.create(kind=kind, title="V3", created_by=admin, state=state, reason="No memory.")
    tell_of_job(job)  # the registry's own receiver looks for an artifact of what succeeded
    assert told(admin) == [(level, text, f"/console/jobs/{job.pk}/")]


def test_a_failed_job_is_told_once_and_only_to_who_asked(admin: User, member: User) -> None:
    ended(admin, state=Job.State.FAILED, reason="No.")
    ended(None, state=Job.State.FAILED)
    ended(member, kind="probe", state=Job.State.FAILED)
    assert [(one.reader_id, one.kind) for one in Notice.objects.all()] == [(admin.pk, "job")]


def test_what_one_cancelled_oneself_one_knows(admin: User, member: User) -> None:
    for actor in (admin, member):
        job = Job.objects.create(kind="train", title="V3", created_by=admin, state=Job.State.CANCELLED)
        record(action="job.cancel", target=job, actor=actor)
        job_ended.send(sender=Job, job=job)
    assert [text for _level, text, _link in told(admin)] == ["The training of V3 was cancelled by member@example.com."]


def test_a_revision_that_failed_is_told_to_administrators(deployment: Deployment, admin: User, member: User) -> None:
    revision = Revision.objects.select_related("deployment").get()
    reconcile._store(revision, Observed(State.FAILED, "needs 5.1 GB, 3.8 GB free on gpu-02"))
    text = "echo v1 failed: needs 5.1 GB, 3.8 GB free on gpu-02"
    assert told(admin) == [("error", text, "/console/deployments/echo/")]
    assert not Notice.objects.filter(reader=member).exists()


def test_what_the_guard_took_back_is_told(deployment: Deployment, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Revision.objects.get()
    new = deployments.add_revision(actor=None, deployment=deployment, version=old.version)
    Revision.objects.update(state=State.READY)
    Revision.objects.filter(pk=new.pk).update(weight=10)
    figures = stats.Stats()
    monkeypatch.setattr(stats, "over", lambda keys, **_more: dict.fromkeys(keys, figures))
    monkeypatch.setattr(guard, "breach", lambda deployment, figures: "4 of 20 requests failed, 5% are allowed")
    assert guard.watch() == ["echo"]
    text = "The guard took echo back from v2 to v1: 4 of 20 requests failed, 5% are allowed"
    assert told(admin) == [("warning", text, "/console/deployments/echo/")]


def test_who_invited_hears_that_it_was_accepted(admin: User, member: User, stranger: User) -> None:
    invitation, _token = invite(actor=admin)
    accept(invitation=invitation, user=member)
    assert told(admin) == [("info", "member has accepted your invitation.", f"/people/{member.pk}/")]
    team = Team.objects.create(name="Quality")
    Membership.objects.create(team=team, user=member, role=Role.OWNER)
    invitation, _token = invite(actor=member, team=team)
    accept(invitation=invitation, user=stranger)
    assert told(member) == [("info", "stranger has accepted your invitation.", f"/teams/{team.pk}/")]
