"""Administrators, keys and the commands that make them."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.http import Http404
from django.utils import timezone

from apps.accounts import services
from apps.accounts.models import APIKey, User
from apps.accounts.permissions import owned_key

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_create_admin_prints_the_password_once() -> None:
    printed = run("create_admin", "--email", "boss@example.com")
    password = printed.rpartition("password: ")[2]
    boss = User.objects.get(email="boss@example.com")
    assert boss.check_password(password)
    assert (boss.is_staff, boss.is_superuser) == (True, True)
    assert run("create_admin", "--if-none") == ""


def test_create_admin_takes_a_password_and_does_not_print_it() -> None:
    assert run("create_admin", "--email", "Boss@Example.com", "--password", "a long phrase") == (
        "administrator: Boss@Example.com"
    )
    assert User.objects.get().check_password("a long phrase")


def test_create_admin_raises_an_existing_user(owner: User) -> None:
    run("create_admin", "--email", owner.email, "--password", "a long phrase")
    owner.refresh_from_db()
    assert owner.is_superuser


def test_create_admin_refuses_nonsense() -> None:
    with pytest.raises(CommandError, match="not an e-mail"):
        run("create_admin", "--email", "boss")


def test_create_api_key_prints_a_key_that_works(owner: User) -> None:
    secret = run("create_api_key", owner.email)
    key = services.authenticate_key(secret)
    assert key is not None and key.owner == owner


def test_create_api_key_for_nobody_says_so() -> None:
    with pytest.raises(CommandError, match="no active user"):
        run("create_api_key", "nobody@example.com")


def test_use_is_noted_once_a_minute(owner: User) -> None:
    key, secret = services.create_api_key(owner=owner, name="x")
    services.authenticate_key(secret)
    first = APIKey.objects.get().last_used_at
    assert first is not None
    services.authenticate_key(secret)
    assert APIKey.objects.get().last_used_at == first
    APIKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    services.authenticate_key(secret)
    assert APIKey.objects.get().last_used_at >= first
    assert key.prefix == secret[:10]


@pytest.mark.parametrize("person", ["member", "stranger"])
def test_keys_of_others_do_not_exist(owner: User, person: str, request: pytest.FixtureRequest) -> None:
    key, _ = services.create_api_key(owner=owner, name="x")
    assert owned_key(owner, key.pk) == key
    with pytest.raises(Http404):
        owned_key(request.getfixturevalue(person), key.pk)
