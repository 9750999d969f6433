"""What keys of administrators may while the organisation requires a second factor of them."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from apps.accounts import keys
from apps.accounts.models import Organization, User
from apps.accounts.queries import forget_mfa_rule
from apps.serving import reconcile, requests
from apps.serving.models import Deployment
from tests.apps.api.native.asking import Caller, caller
from tests.apps.serving.test_recover import make_request

pytestmark = pytest.mark.django_db(transaction=True)
REFUSED = {
    "message": "Administrators need a second factor here. Set one up on the page of your profile; then this works.",
    "type": "insufficient_permissions",
    "param": None,
    "code": "second_factor_required",
}


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss@example.com")


@pytest.fixture
def required(boss: User) -> None:
    Organization.objects.update_or_create(pk=1, defaults={"requires_admin_mfa": True})
    forget_mfa_rule()


def a_second_later() -> None:
    keys._known.clear()


def set_up(user: User, kind: str = Authenticator.Type.TOTP) -> None:
    Authenticator.objects.create(user=user, type=kind, data={})
    a_second_later()


def test_a_key_administers_once_its_owner_has_a_second_factor(boss: User, required: None) -> None:
    key = caller(boss)
    assert key.ask("get", "/people") == (403, {"error": REFUSED})
    set_up(boss, Authenticator.Type.RECOVERY_CODES)  # these alone are none
    assert key.ask("get", "/people")[0] == 403
    set_up(boss)
    assert key.ask("get", "/people")[0] == 200
    Authenticator.objects.all().delete()
    assert key.ask("get", "/people")[0] == 200  # remembered for a second
    a_second_later()
    assert key.ask("get", "/people")[0] == 403


def test_a_key_administers_where_none_is_required(boss: User) -> None:
    assert caller(boss).ask("get", "/people")[0] == 200


def test_without_it_an_administrators_key_reaches_what_a_members_does(
    boss: User, owner: User, member: User, stranger: User, required: None, deployment: Deployment
) -> None:
    theirs = _addresses(owner)
    people = {"boss": boss, "owner": owner, "member": member, "stranger": stranger}
    key_of = {name: caller(user) for name, user in people.items()}
    assert {name: _reach(key, theirs) for name, key in key_of.items()} == {
        "boss": [200, 200, 404, 403, 404, 404],
        "owner": [200, 200, 404, 403, 200, 200],
        "member": [200, 200, 404, 403, 404, 404],
        "stranger": [200, 200, 404, 403, 404, 404],
    }
    set_up(boss)
    assert _reach(key_of["boss"], theirs) == [200] * 6


def _addresses(owner: User) -> list[str]:
    """Of everybody's own, of administrators, and of what is the owner's."""
    key, _ = keys.create_api_key(owner=owner, name="theirs")
    reconcile.reconcile()
    request = make_request()
    requests.save(request, owner=str(owner.pk))
    everybodys = ["/profile", "/usage", "/usage?who=organization", "/keys?everybody=true"]
    return [*everybodys, f"/keys/{key.pk}", f"/requests/{request.request_id}"]


def _reach(key: Caller, addresses: list[str]) -> list[int]:
    return [key.ask("get", address)[0] for address in addresses]


def test_metrics_say_what_to_do(boss: User, owner: User, required: None, client: Client) -> None:
    members, admins = caller(owner), caller(boss)
    assert client.get("/metrics", headers=members.headers).status_code == 404
    answer = client.get("/metrics", headers=admins.headers)
    assert (answer.status_code, answer.json()) == (403, {"error": REFUSED})
    client.force_login(boss)
    assert client.get("/metrics").json() == {"error": REFUSED}
    set_up(boss)
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers=admins.headers).status_code == 200


def test_it_costs_no_query(boss: User, owner: User, required: None, django_assert_num_queries) -> None:
    for user in (boss, owner):
        secret = keys.create_api_key(owner=user, name="k")[1]
        with django_assert_num_queries(1):
            keys.authenticate_key(secret)
            keys.wait_for_notes()
        with django_assert_num_queries(0):
            keys.known_key(secret)
