"""Entries of the ledger, and browsers of the people who look at it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Membership, Role, Team, User
from apps.quotas.models import LedgerEntry

Use = Callable[..., LedgerEntry]


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_superuser("admin@example.com", "correct horse battery staple")


@pytest.fixture
def team(owner: AbstractBaseUser) -> Team:
    """A team of which `owner` is the owner; everybody else's use of it counts for it as well."""
    team = Team.objects.create(name="Quality")
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    return team


@pytest.fixture
def use(db: None) -> Use:
    """Write that something was used, now or `at` some time."""
    made = iter(range(10**6))

    def write(at: datetime | None = None, *, user: Any = None, team: Team | None = None, **fields: Any) -> LedgerEntry:
        who = {"user_id": user.pk, "user_label": user.email} if user else {}
        whose = {"team_id": team.pk, "team_label": team.name} if team else {}
        values = {"kind": "text-generation", "deployment": "echo", **who, **whose, **fields}
        at = at or timezone.now() - timedelta(seconds=1)
        return LedgerEntry.objects.create(at=at, source=f"request:{next(made)}", **values)

    return write


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client
