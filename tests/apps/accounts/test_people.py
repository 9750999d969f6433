"""Roles, deactivation and ownership: what each change does, and what nobody can do."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.db import transaction
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from apps.accounts import keys, services
from apps.accounts.models import Organization, Role, User
from apps.accounts.permissions import is_administrator
from apps.audit.models import AuditEntry
from tests.apps.accounts.conftest import PASSWORD, browser_of, confirm

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


def signed_in(user: User) -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    return client


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


@pytest.mark.parametrize(
    ("role", "staff", "superuser", "sends"),
    [
        ("owner", True, True, True),
        ("admin", True, False, True),
        ("member", False, False, True),
        ("viewer", False, False, False),
    ],
)
def test_the_role_is_the_truth(role: str, staff: bool, superuser: bool, sends: bool) -> None:
    user = User(role=role)
    assert (user.is_staff, user.is_superuser, user.may_send) == (staff, superuser, sends)
    assert is_administrator(user) == staff
    assert not is_administrator(User(role=role, is_active=False))


def test_first_administrator_owns_and_the_next_does_not(boss: User, admin: User) -> None:
    assert (boss.role, admin.role) == (Role.OWNER, Role.ADMIN)


def test_administrator_changes_a_role(boss: User, admin: User, member: User) -> None:
    services.set_role(user=member, role=Role.VIEWER, actor=admin)
    member.refresh_from_db()
    assert member.role == Role.VIEWER
    entry = AuditEntry.objects.get(action="user.set_role")
    assert (entry.actor_label, entry.object_label, entry.data) == (
        "admin@example.com", "member@example.com", {"role": ["member", "viewer"]},
    )  # fmt: skip


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.MEMBER])
def test_administrator_has_no_power_over_ownership(role: Role, boss: User, admin: User, member: User) -> None:
    with pytest.raises(ValueError, match="owner"):
        services.set_role(user=member if role == Role.OWNER else boss, role=role, actor=admin)
    with pytest.raises(ValueError, match="owner"):
        services.deactivate(user=boss, actor=admin)
    assert actions() == []


def test_last_owner_stays(boss: User, admin: User) -> None:
    for act in (
        lambda: services.set_role(user=boss, role=Role.ADMIN, actor=boss),
        lambda: services.deactivate(user=boss, actor=boss),
    ):
        with pytest.raises(ValueError, match="needs an owner|deactivate yourself"):
            act()
    with pytest.raises(ProtectedError), transaction.atomic():
        User.objects.filter(pk=boss.pk).delete()
    services.set_role(user=admin, role=Role.OWNER, actor=boss)
    services.set_role(user=boss, role=Role.MEMBER, actor=boss)
    boss.refresh_from_db()
    assert boss.role == Role.MEMBER
    boss.delete()


def test_ownership_is_handed_over(boss: User, admin: User) -> None:
    services.transfer_ownership(to=admin, actor=boss)
    assert (User.objects.get(pk=boss.pk).role, User.objects.get(pk=admin.pk).role) == (Role.ADMIN, Role.OWNER)
    with pytest.raises(ValueError, match="Only an owner"):
        services.transfer_ownership(to=boss, actor=User.objects.get(pk=boss.pk))


def test_handing_over_wants_the_address_and_the_password(boss: User, admin: User) -> None:
    browser = browser_of(boss)
    form = {"to": admin.pk, "typed": admin.email}
    asked = browser.post(reverse("accounts:transfer"), form)
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    confirm(browser)
    browser.post(reverse("accounts:transfer"), {**form, "typed": "somebody"})
    assert User.objects.get(pk=admin.pk).role == Role.ADMIN
    browser.post(reverse("accounts:transfer"), form)
    assert User.objects.get(pk=admin.pk).role == Role.OWNER


def test_an_act_goes_on_after_the_password(boss: User, member: User) -> None:
    browser = browser_of(boss)
    asked = browser.post(reverse("accounts:set_role", args=[member.pk]), {"role": "admin"})
    browser.post(asked["Location"], {"password": PASSWORD, "next": reverse("accounts:set_role", args=[member.pk])})
    assert User.objects.get(pk=member.pk).role == Role.ADMIN


def test_deactivation_ends_sessions_keys_and_invitations(boss: User, member: User) -> None:
    browser = signed_in(member)
    assert browser.get("/profile/").status_code == 200
    _, secret = keys.create_api_key(owner=member, name="nightly")
    assert keys.authenticate_key(secret) is not None
    services.deactivate(user=member, actor=boss)
    assert browser.get("/profile/").status_code == 302
    assert (keys.known_key(secret), keys.authenticate_key(secret)) == (None, None)
    assert not UserSession.objects.filter(user=member).exists()
    assert signed_in(member).get("/profile/").status_code == 302
    assert actions() == ["apikey.create", "apikey.revoke", "user.deactivate"]


def test_reactivation_lets_in_again_without_the_old_keys(boss: User, member: User) -> None:
    _, secret = keys.create_api_key(owner=member, name="nightly")
    services.deactivate(user=member, actor=boss)
    services.reactivate(user=member, actor=boss)
    assert signed_in(member).get("/profile/").status_code == 200
    assert keys.authenticate_key(secret) is None


def test_administrator_ends_anothers_session(boss: User, member: User) -> None:
    browser = signed_in(member)
    session = UserSession.objects.get(user=member)
    browser_of(boss).post(reverse("accounts:end_session_of", args=[session.pk]))
    assert browser.get("/profile/").status_code == 302


def test_one_ends_ones_own_sessions_and_nobody_elses(owner: User, stranger: User) -> None:
    here, there, foreign = signed_in(owner), signed_in(owner), signed_in(stranger)
    page = here.get(reverse("accounts:sessions"))
    assert len(page.context["sessions"]) == 2
    theirs = UserSession.objects.get(user=stranger)
    assert here.post(reverse("accounts:end_session", args=[theirs.pk])).status_code == 404
    here.post(reverse("accounts:end_other_sessions"))
    assert [browser.get("/profile/").status_code for browser in (here, there, foreign)] == [200, 302, 200]


def test_a_new_password_ends_the_other_sessions(owner: User) -> None:
    here, there = signed_in(owner), signed_in(owner)
    new = "another long phrase"
    here.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new}, follow=True
    )
    assert [browser.get("/profile/").status_code for browser in (here, there)] == [200, 302]
    assert len(here.get(reverse("accounts:sessions")).context["sessions"]) == 1


@pytest.mark.parametrize("rows", [1, 30])
def test_sessions_take_the_same_queries(rows: int, owner: User, django_assert_num_queries) -> None:
    for _ in range(rows):
        signed_in(owner)
    browser = browser_of(owner)
    browser.get(reverse("accounts:sessions"))
    with django_assert_num_queries(4):  # user, sessions, open incidents, notices
        assert len(browser.get(reverse("accounts:sessions")).context["sessions"]) == rows


def test_lost_device_is_an_administrators_matter(boss: User, admin: User, member: User) -> None:
    Authenticator.objects.create(user=member, type=Authenticator.Type.TOTP, data={})
    services.remove_second_factor(user=member, actor=admin)
    assert not Authenticator.objects.filter(user=member).exists()
    Authenticator.objects.create(user=boss, type=Authenticator.Type.TOTP, data={})
    with pytest.raises(ValueError, match="owner"):
        services.remove_second_factor(user=boss, actor=admin)


def test_settings_are_changed_and_written_down(boss: User) -> None:
    form = {"name": "Lin & Co", "time_zone": "Asia/Shanghai", "currency": "CNY", "fail_policy": "open"}
    browser_of(boss).post(reverse("accounts:organization"), form)
    found = Organization.current()
    assert (found.name, found.time_zone, found.currency, found.fail_policy, found.is_signup_open) == (
        "Lin & Co", "Asia/Shanghai", "CNY", "open", False,
    )  # fmt: skip
    entry = AuditEntry.objects.get(action="organization.update")
    assert entry.data["changes"]["currency"] == ["USD", "CNY"]
    page = browser_of(boss).post(reverse("accounts:organization"), {**form, "time_zone": "Mars"})
    assert page.status_code == 422


@pytest.mark.parametrize("name", ["people", "organization"])
def test_pages_of_administrators_do_not_exist_for_others(
    name: str, boss: User, admin: User, owner: User, viewer: User
) -> None:
    seen = [browser_of(user).get(reverse(f"accounts:{name}")).status_code for user in (boss, admin, owner, viewer)]
    assert seen == [200, 200, 404, 404]


def test_people_are_found_by_words(boss: User, member: User, stranger: User) -> None:
    member.name = "Lin Wei"
    member.save()
    page = browser_of(boss).get(reverse("accounts:people"), {"q": "wei member"})
    assert [one.email for one in page.context["page"]] == ["member@example.com"]


@pytest.mark.parametrize("rows", [1, 30])
def test_people_take_the_same_queries(rows: int, boss: User, django_assert_num_queries) -> None:
    for number in range(rows):
        User.objects.create_user(f"p{number}@example.com")
    browser = browser_of(boss)
    browser.get(reverse("accounts:people"))
    # user, number of people, people, their memberships, invitations, teams to invite to, open incidents, notices
    with django_assert_num_queries(8):
        browser.get(reverse("accounts:people"))
