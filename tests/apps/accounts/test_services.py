"""Administrators, keys and the commands that make them."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.keys import authenticate_key
from apps.accounts.models import User
from apps.audit.models import AuditEntry

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


def test_create_admin_is_in_the_audit_log(owner: User) -> None:
    member = User.objects.create_user("ann@example.com", "a long password", is_active=False)
    run("create_admin", "--email", "boss@example.com")
    run("create_admin", "--email", member.email)
    first, second = AuditEntry.objects.filter(action="user.create_administrator").order_by("pk")
    assert (first.object_label, first.actor_label) == ("boss@example.com", "command line")
    boss = User.objects.get(email="boss@example.com")
    assert (first.data, second.object_id) == ({"role": ["", boss.role]}, str(member.pk))
    member.refresh_from_db()
    assert second.data == {"role": ["member", member.role], "was_active": False}


def test_create_admin_refuses_nonsense() -> None:
    with pytest.raises(CommandError, match="not an e-mail"):
        run("create_admin", "--email", "boss")


def test_create_api_key_prints_a_key_that_works(owner: User) -> None:
    secret = run("create_api_key", owner.email)
    key = authenticate_key(secret)
    assert key is not None and key.owner == owner


def test_create_api_key_takes_scopes(owner: User) -> None:
    key = authenticate_key(run("create_api_key", owner.email, "--scope", "chat", "--scope", "models:read"))
    assert key is not None and key.scopes == ["chat", "models:read"]
    with pytest.raises(CommandError, match="'admin' cannot be given"):
        run("create_api_key", owner.email, "--scope", "admin")


def test_create_api_key_for_nobody_says_so() -> None:
    with pytest.raises(CommandError, match="no active user"):
        run("create_api_key", "nobody@example.com")
