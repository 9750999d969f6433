"""A link lets one person in, once, as what it says."""

import hashlib
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.invitations import accept, find_invitation, invite, revoke_invitation
from apps.accounts.models import Invitation, Membership, Organization, Role, Team, User
from apps.audit.models import AuditEntry
from tests.apps.accounts.conftest import PASSWORD, browser_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def open_link(token: str) -> Client:
    browser = Client()
    assert browser.get(reverse("accounts:invitation", args=[token])).status_code == 200
    return browser


def sign_up(browser: Client, email: str) -> User | None:
    browser.post(reverse("account_signup"), {"email": email, "password1": PASSWORD})
    return User.objects.filter(email=email).first()


@pytest.fixture
def closed(boss: User) -> None:
    Organization.objects.update_or_create(pk=1, defaults={"is_signup_open": False})


def test_only_the_hash_is_kept(boss: User) -> None:
    invitation, token = invite(actor=boss)
    assert invitation.digest == hashlib.sha256(token.encode()).hexdigest()


def test_somebody_new_gets_the_role_and_the_team(closed: None, boss: User, team: Team) -> None:
    _, token = invite(actor=boss, role=Role.VIEWER, team=team, team_role=Role.ADMIN)
    user = sign_up(open_link(token), "new@example.com")
    assert user is not None and user.role == Role.VIEWER
    assert Membership.objects.get(user=user).role == Role.ADMIN
    assert user.team_id in (None, team.pk)
    assert sign_up(open_again(token), "second@example.com") is None


def open_again(token: str) -> Client:
    browser = Client()
    page = browser.get(reverse("accounts:invitation", args=[token]))
    assert page.status_code == 404
    assert "cannot be used" in page.content.decode()
    return browser


def test_without_an_invitation_a_closed_door_stays_closed(closed: None) -> None:
    assert sign_up(Client(), "new@example.com") is None
    assert sign_up(open_again("nonsense"), "new@example.com") is None


def test_an_address_is_kept_to(closed: None, boss: User, stranger: User) -> None:
    _, token = invite(actor=boss, email="Ann@Example.com")
    browser = open_link(token)
    assert 'value="ann@example.com"' in browser.get(reverse("account_signup")).content.decode()
    assert sign_up(browser, "bob@example.com") is None
    page = browser_of(stranger).get(reverse("accounts:invitation", args=[token]))
    assert "for another address" in page.content.decode()
    browser_of(stranger).post(reverse("accounts:invitation", args=[token]))
    assert Invitation.objects.get().accepted_at is None
    assert sign_up(browser, "ann@example.com") is not None


def test_somebody_who_is_here_accepts(boss: User, team: Team, stranger: User) -> None:
    _, token = invite(actor=boss, team=team)
    browser = browser_of(stranger)
    url = reverse("accounts:invitation", args=[token])
    assert browser.get(url).status_code == 200
    assert browser.post(url)["Location"] == reverse("accounts:team", args=[team.pk])
    assert Membership.objects.filter(team=team, user=stranger).exists()
    assert browser.get(url).status_code == 404
    assert AuditEntry.objects.filter(action="invitation.accept", actor_id=stranger.pk).exists()


@pytest.mark.parametrize(
    ("has", "offered", "gets"),
    [
        (Role.ADMIN, Role.VIEWER, Role.ADMIN),
        (Role.VIEWER, Role.MEMBER, Role.MEMBER),
        (Role.OWNER, Role.ADMIN, Role.OWNER),
    ],
)
def test_a_link_takes_nothing_away(has: Role, offered: Role, gets: Role, boss: User, stranger: User) -> None:
    User.objects.filter(pk=stranger.pk).update(role=has)
    invitation, _ = invite(actor=boss, role=offered)
    accept(invitation=invitation, user=User.objects.get(pk=stranger.pk))
    assert User.objects.get(pk=stranger.pk).role == gets


@pytest.mark.parametrize("end", ["expired", "revoked", "inviter deactivated"])
def test_a_link_that_has_ended_is_told_plainly(end: str, boss: User, admin: User) -> None:
    from apps.accounts import services

    invitation, token = invite(actor=admin)
    if end == "expired":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif end == "revoked":
        revoke_invitation(invitation=invitation, actor=boss)
    else:
        services.deactivate(user=admin, actor=boss)
    assert find_invitation(token) is None
    open_again(token)


@pytest.mark.parametrize(
    ("who", "arguments"),
    [
        ("owner", {"role": Role.ADMIN, "team": True}),
        ("owner", {"team_role": Role.OWNER, "team": True}),
        ("owner", {}),
        ("admin", {"role": Role.OWNER}),
        ("stranger", {}),
    ],
)
def test_nobody_gives_what_is_not_theirs(
    who: str, arguments: dict[str, object], team: Team, request: pytest.FixtureRequest
) -> None:
    if "team" in arguments:
        arguments = {**arguments, "team": team}
    with pytest.raises(ValueError, match="cannot give"):
        invite(actor=request.getfixturevalue(who), **arguments)  # type: ignore[arg-type]


def test_page_shows_the_link_once_and_mails_it(boss: User, mailoutbox: list) -> None:
    form = {"email": "ann@example.com", "role": "member", "days": "7"}
    page = browser_of(boss).post(reverse("accounts:invite"), form)
    link = page.context["link"]
    assert page["Cache-Control"] == "no-store"
    assert (mailoutbox[0].to, link in mailoutbox[0].body) == (["ann@example.com"], True)
    assert link not in browser_of(boss).get(reverse("accounts:people")).content.decode()
    assert "ann@example.com" in browser_of(boss).get(reverse("accounts:people")).content.decode()


@pytest.mark.parametrize("backend", ["smtp", "console"])
def test_a_mail_server_that_is_down_or_not_there_stops_nobody(boss: User, settings, backend: str, capsys) -> None:
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    page = browser_of(boss).post(
        reverse("accounts:invite"), {"email": "ann@example.com", "role": "member", "days": "7"}
    )
    assert "It was not mailed" in page.content.decode()
    assert page.context["link"]
    assert page.context["link"] not in "".join(capsys.readouterr())


def test_administrator_of_a_team_invites_into_it(team: Team, owner: User, member: User) -> None:
    form = {"role": "member", "team": team.pk, "team_role": "member", "days": "1", "on": "team"}
    assert "link" in browser_of(owner).post(reverse("accounts:invite"), form).context
    assert browser_of(member).post(reverse("accounts:invite"), form).status_code == 404
    other = Team.objects.create(name="Other")
    browser_of(owner).post(reverse("accounts:invite"), {**form, "team": other.pk})
    assert list(Invitation.objects.values_list("team__name", flat=True)) == ["Ours"]


@pytest.mark.django_db(transaction=True)
def test_two_at_once_get_in_once(boss: User, owner: User, stranger: User) -> None:
    invitation, _ = invite(actor=boss)
    together = threading.Barrier(2)
    ends: list[str] = []

    def take(user: User) -> None:
        together.wait()
        try:
            accept(invitation=invitation, user=user)
            ends.append("in")
        except ValueError:
            ends.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=[user]) for user in (owner, stranger)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(ends) == ["in", "refused"]
