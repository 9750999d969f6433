"""What a notice tells is shown as long as its reader may see what it is about."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.invitations import invite
from apps.accounts.keys import create_api_key
from apps.accounts.models import Membership, Role, Team, User
from apps.anomaly import assets
from apps.anomaly.models import Detector, Incident
from apps.jobs.models import Job
from apps.notices import permissions, queries
from apps.notices.models import Kind, Notice
from apps.notices.services import notify
from apps.serving.models import Deployment
from apps.teach.models import Classifier

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def team(owner: User, member: User) -> Team:
    team = Team.objects.create(name="Quality")
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    Membership.objects.create(team=team, user=member, role=Role.MEMBER)
    return team


@pytest.fixture
def subjects(owner: User, team: Team) -> dict[Kind, list[Any]]:
    """Of each kind what `owner` and, where it is shared, `member` may see. The owner is an administrator."""
    User.objects.filter(pk=owner.pk).update(role=Role.ADMIN)
    owner.refresh_from_db()
    asset = assets.create(owner=owner, name="Press")
    asset.team = team
    asset.save()
    now = timezone.now()
    incident = Incident.objects.create(asset=asset, began_at=now, last_at=now)
    Deployment.objects.create(name="echo")
    return {
        Kind.LIMIT: [f"team:{team.pk}:requests:day"],
        Kind.JOB: [Job.objects.create(kind="train", title="Mine", created_by=owner).pk],
        Kind.INCIDENT: [incident.pk],
        Kind.ASSIGNED: [incident.pk],
        Kind.DETECTOR: [Detector.objects.create(asset=asset, name="Watch").pk],
        Kind.CLASSIFIER: [Classifier.objects.create(owner=owner, name="Ours", reads="texts", team=team).pk],
        Kind.DEPLOYMENT: ["echo@1"],
        Kind.INVITATION: [invite(actor=owner, team=team)[0].pk],
        Kind.KEY: [create_api_key(owner=owner, name="nightly")[0].pk],
    }


def tell_all(subjects: dict[Kind, list[Any]], *to: User) -> None:
    for kind, ids in subjects.items():
        for one in ids:
            notify(to=to, kind=kind, subject=one, message="{name} failed", values={"name": "Secret"}, link="/there/")


def shown(user: User) -> set[str]:
    """Kinds whose words this person still reads."""
    lines = queries.lines(user, Notice.objects.filter(reader=user))
    hidden = [line for line in lines if line.is_gone]
    assert all((line.text, line.link) == (queries._gone(), "") for line in hidden)
    return {line.notice.kind for line in lines if not line.is_gone}


SHARED = {"limit", "incident", "assigned", "detector", "classifier"}


def test_every_kind_has_a_rule() -> None:
    assert set(permissions._RULES) == set(Kind)


def test_owner_member_stranger(subjects: dict[Kind, list[Any]], owner: User, member: User, stranger: User) -> None:
    tell_all(subjects, owner, member, stranger)
    assert (shown(owner), shown(member), shown(stranger)) == (set(Kind), SHARED, set())


def test_who_has_left_the_team_reads_no_more_of_it(subjects: dict[Kind, list[Any]], member: User) -> None:
    tell_all(subjects, member)
    Membership.objects.filter(user=member).delete()
    assert shown(member) == set()


def test_who_is_no_administrator_any_more_reads_nothing_of_the_console(
    subjects: dict[Kind, list[Any]], owner: User
) -> None:
    tell_all(subjects, owner)
    User.objects.filter(pk=owner.pk).update(role=Role.MEMBER)
    assert set(Kind) - shown(User.objects.get(pk=owner.pk)) == {"job", "deployment"}


def test_what_was_deleted_leaves_no_words(subjects: dict[Kind, list[Any]], owner: User, team: Team) -> None:
    tell_all(subjects, owner)
    for rows in (Job, Incident, Detector, Classifier, Deployment):
        rows.objects.all().delete()
    owner.api_keys.all().delete()
    team.delete()  # and its invitations
    assert shown(owner) == set()


def test_a_kind_without_a_rule_shows_nothing(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "_RULES", {})
    notify(to=[owner], kind=Kind.LIMIT, subject="organization::requests:day", message="x")
    assert shown(owner) == set()


def test_limits_of_oneself_the_organisation_and_ones_keys(owner: User, stranger: User) -> None:
    key = create_api_key(owner=owner, name="nightly")[0]
    mine = ["organization::requests:day", f"user:{owner.pk}:requests:day", f"key:{key.pk}:requests:day"]
    for person, seen in ((owner, 3), (stranger, 1)):
        for one in mine:
            notify(to=[person], kind=Kind.LIMIT, subject=one, message="x")
        lines = queries.lines(person, Notice.objects.filter(reader=person))
        assert sum(not line.is_gone for line in lines) == seen


def test_1_and_30_notices_cost_the_same_queries(subjects: dict[Kind, list[Any]], owner: User) -> None:
    costs = []
    for many in (1, 30):
        for number in range(many):
            Notice.objects.bulk_create(
                Notice(reader=owner, kind=kind, subject=ids[0], message="x", created_at=at, happened_at=at)
                for kind, ids in subjects.items()
                for at in [timezone.now() - timedelta(minutes=number)]
            )
        with CaptureQueriesContext(connection) as asked:
            queries.lines(owner, Notice.objects.filter(reader=owner))
        costs.append(len(asked))
    assert costs[0] == costs[1] == 1 + len(Kind)
