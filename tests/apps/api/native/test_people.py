"""People, invitations, teams and the organisation over the API."""

import pytest
from allauth.usersessions.models import UserSession
from django.core import mail
from django.test import Client

from apps.accounts.models import Invitation, Membership, Organization, Role, Team, User
from apps.audit.models import AuditEntry
from tests.apps.accounts.test_people import signed_in
from tests.apps.api.native.asking import boss, caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team(owner: User, member: User) -> Team:
    team = Team.objects.create(name="Quality")
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    Membership.objects.create(team=team, user=member)
    return team


def test_people_are_found_locked_out_and_let_in(owner: User, member: User) -> None:
    me, theirs = boss(), caller(owner)
    assert [one["email"] for one in me.ask("get", "/people?q=owner")[1]["data"]] == ["owner@example.com"]
    assert me.ask("post", f"/people/{owner.pk}/deactivate")[1]["is_active"] is False
    assert theirs.ask("get", "/profile")[0] == 401
    assert me.ask("post", f"/people/{owner.pk}/reactivate")[1]["is_active"] is True
    himself = User.objects.get(email="boss@example.com")
    assert me.ask("post", f"/people/{himself.pk}/deactivate")[0] == 400
    assert me.ask("get", "/people/999999")[0] == 404
    assert set(AuditEntry.objects.filter(object_id=owner.pk).values_list("action", flat=True)) >= {
        "user.deactivate", "user.reactivate",
    }  # fmt: skip


def test_sessions_are_ended(owner: User) -> None:
    signed_in(owner)
    me = boss()
    (session,) = me.ask("get", f"/people/{owner.pk}/sessions")[1]["data"]
    assert me.ask("delete", f"/people/{owner.pk}/sessions")[1] == {"ended": 1}
    assert me.ask("delete", f"/people/sessions/{session['id']}")[0] == 404
    assert not UserSession.objects.exists()


def test_no_key_gives_a_role(owner: User) -> None:
    """What a page asks the password for again."""
    me = boss()
    for path in ("role", "second-factor/remove"):
        answer = Client().post(f"/api/v1/people/{owner.pk}/{path}", {"role": "admin"}, headers=me.headers)
        assert answer.status_code == 404
    assert me.ask("post", "/invitations", {"role": "admin"})[0] == 400
    assert me.ask("patch", "/organization", {"requires_admin_mfa": False})[0] == 400


def test_an_invitation_lets_one_person_in(stranger: User) -> None:
    me = boss()
    made = me.made("/invitations", {"email": "new@example.com", "role": "viewer"}, idempotency_key="one")
    assert (made["is_mailed"], made["invited_by"], made["role"]) == (True, "boss@example.com", "viewer")
    assert made["link"] in mail.outbox[0].body
    again = me.made("/invitations", {"email": "new@example.com", "role": "viewer"}, idempotency_key="one")
    assert again == {**made, "link": None}
    assert [one["id"] for one in me.ask("get", "/invitations")[1]["data"]] == [made["id"]]
    assert caller(stranger).ask("post", f"/invitations/{made['id']}/revoke")[0] == 404
    assert me.ask("post", f"/invitations/{made['id']}/revoke") == (204, None)
    assert me.ask("get", "/invitations")[1]["data"] == []


def test_who_leads_a_team_invites_into_it(owner: User, member: User, team: Team) -> None:
    leads, works = caller(owner), caller(member)
    other = Team.objects.create(name="Other")
    assert leads.made("/invitations", {"team": team.pk, "team_role": "admin"})["team"] == team.pk
    assert leads.ask("post", "/invitations", {})[0] == 400
    assert leads.ask("post", "/invitations", {"team": other.pk})[0] == 400
    assert works.ask("post", "/invitations", {"team": team.pk})[0] == 404
    assert (len(leads.ask("get", "/invitations")[1]["data"]), works.ask("get", "/invitations")[1]["data"]) == (1, [])
    assert Invitation.objects.count() == 1


def test_a_team_from_its_beginning_to_its_end(owner: User, member: User) -> None:
    me = boss()
    made = me.made("/teams", {"name": "Blue"})
    path = f"/teams/{made['id']}"
    assert (made["members"], made["my_role"]) == (0, None)
    assert me.ask("post", "/teams", {"name": "blue"})[0] == 400
    first = me.ask("post", f"{path}/members", {"email": "owner@example.com", "role": "owner"})[1]
    assert caller(owner).ask("get", path)[1]["my_role"] == "owner"
    second = caller(owner).ask("post", f"{path}/members", {"email": "member@example.com"})[1]
    assert [one["id"] for one in me.ask("get", f"{path}/members")[1]["data"]] == [first["id"], second["id"]]
    assert caller(owner).ask("patch", f"/teams/members/{second['id']}", {"role": "admin"})[1]["role"] == "admin"
    assert caller(member).ask("patch", f"/teams/members/{first['id']}", {"role": "viewer"})[0] == 400
    assert caller(member).ask("post", f"{path}/members", {"email": "boss@example.com", "role": "owner"})[0] == 400
    assert caller(member).ask("patch", path, {"name": "Green"})[1]["name"] == "Green"
    assert caller(member).ask("delete", path)[0] == 404
    assert caller(member).ask("post", f"{path}/leave") == (204, None)
    assert caller(owner).ask("delete", f"/teams/members/{first['id']}") == (204, None)
    assert me.ask("delete", path) == (204, None)


def test_a_team_is_nobody_elses(owner: User, member: User, stranger: User, team: Team) -> None:
    """An administrator's key without the scope admin is one of somebody who is not in it."""
    admin = User.objects.create_superuser("boss@example.com")
    acts = [("get", ""), ("get", "/members"), ("patch", ""), ("post", "/members"), ("post", "/leave"), ("delete", "")]
    for method, path in acts:
        body = {"patch": {"name": "Mine"}, "post": {"email": "stranger@example.com"}}.get(method)
        for one in (caller(stranger), caller(admin, scopes=["account"])):
            assert (path, one.ask(method, f"/teams/{team.pk}{path}", body)[0]) == (path, 404)
    assert [one.ask("get", "/teams")[1]["data"] for one in (caller(stranger), caller(admin, scopes=["account"]))] == [
        [], [],
    ]  # fmt: skip
    assert caller(member).ask("patch", f"/teams/{team.pk}", {"name": "Mine"})[0] == 404
    assert caller(admin, scopes=["account"]).ask("post", "/teams", {"name": "Mine"})[0] == 403


def test_the_organisation_changes_in_part() -> None:
    me = boss()
    Organization.objects.update_or_create(pk=1, defaults={"is_signup_open": False, "currency": "EUR"})
    changed = me.ask("patch", "/organization", {"name": "Ours", "time_zone": "Europe/Berlin"})[1]
    assert changed == {
        "name": "Ours", "time_zone": "Europe/Berlin", "currency": "EUR", "fail_policy": "closed",
        "is_signup_open": False, "requires_admin_mfa": False,
    }  # fmt: skip
    assert me.ask("patch", "/organization", {"time_zone": "Mars/Base"})[0] == 400
    assert me.ask("patch", "/organization", {"is_signup_open": True})[1]["is_signup_open"] is True
    assert AuditEntry.objects.filter(action="organization.update").count() == 2
