"""People with roles, and a team."""

import pytest
from django.test import Client

from apps.accounts.models import Membership, Role, Team, User

PASSWORD = "correct horse battery staple"


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def confirm(browser: Client) -> Client:
    """Give the password again, as sensitive acts want it."""
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return browser


@pytest.fixture
def boss(db: None) -> User:
    """The organisation's owner."""
    return User.objects.create_superuser("boss@example.com", PASSWORD)


@pytest.fixture
def admin(boss: User) -> User:
    return User.objects.create_superuser("admin@example.com", PASSWORD)


@pytest.fixture
def viewer(db: None) -> User:
    return User.objects.create_user("viewer@example.com", PASSWORD, role=Role.VIEWER)


@pytest.fixture
def team(owner: User, member: User) -> Team:
    """`owner` administers it, `member` is in it."""
    team = Team.objects.create(name="Ours")
    Membership.objects.create(team=team, user=owner, role=Role.ADMIN)
    Membership.objects.create(team=team, user=member, role=Role.MEMBER)
    return team
