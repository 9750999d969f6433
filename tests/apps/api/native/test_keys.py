"""Keys over the API: no key gets anybody further than it could itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.keys import create_api_key
from apps.accounts.models import APIKey, Membership, Team, User
from apps.audit.models import AuditEntry
from apps.quotas.models import Limit, Metric, Window
from apps.quotas.models import Scope as Limited
from apps.quotas.services import set_limit
from tests.apps.api.native.asking import boss, caller

pytestmark = pytest.mark.django_db

SOON = timezone.now() + timedelta(days=1)
LATER = SOON + timedelta(days=1)


def test_a_key_is_made_rotated_and_revoked(owner: User) -> None:
    me = caller(owner)
    made = me.made("/keys", {"name": "nightly", "scopes": ["chat"], "expires_at": SOON.isoformat()})
    assert made["secret"].startswith(made["prefix"])
    assert me.ask("get", f"/keys/{made['id']}")[1] == {name: made[name] for name in made if name != "secret"}
    new = me.made(f"/keys/{made['id']}/rotate", {"overlap_hours": 0})
    assert (new["scopes"], new["name"], new["secret"] == made["secret"]) == (["chat"], "nightly", False)
    assert me.ask("get", f"/keys/{made['id']}")[1]["is_active"] is False
    assert me.ask("post", f"/keys/{new['id']}/revoke")[1]["is_active"] is False
    acts = AuditEntry.objects.filter(action__startswith="apikey.", object_label__startswith="nightly")
    assert sorted(acts.values_list("action", "address")) == [
        ("apikey.create", "127.0.0.1"),
        ("apikey.revoke", "127.0.0.1"),
        ("apikey.rotate", "127.0.0.1"),
    ]


@pytest.mark.parametrize(
    ("own", "wanted", "field"),
    [
        ({"scopes": ["account"]}, {"scopes": ["account", "chat"]}, "scopes"),
        ({"deployments": ["echo"]}, {"scopes": ["chat"]}, "deployments"),
        ({"deployments": ["echo"]}, {"scopes": ["chat"], "deployments": ["echo", "other"]}, "deployments"),
        ({"expires_at": SOON}, {"scopes": ["chat"]}, "expires_at"),
        ({"expires_at": SOON}, {"scopes": ["chat"], "expires_at": LATER.isoformat()}, "expires_at"),
        ({}, {"scopes": ["admin"]}, "scopes"),
    ],
)
def test_a_key_gives_at_most_what_it_has(own: dict[str, Any], wanted: dict[str, Any], field: str, owner: User) -> None:
    me = caller(owner, **own)
    status, refused = me.ask("post", "/keys", {"name": "more", **wanted})
    assert (status, refused["error"]["param"], refused["error"]["code"]) == (403, field, "key_outgrown")
    assert APIKey.objects.count() == 1


def test_a_smaller_key_does_not_rotate_a_greater_one(owner: User) -> None:
    great, _ = create_api_key(owner=owner, name="great")
    assert caller(owner, scopes=["account"]).ask("post", f"/keys/{great.pk}/rotate", {})[0] == 403


def test_keys_are_their_owners_and_administrators_may_revoke(owner: User, stranger: User) -> None:
    key, _ = create_api_key(owner=owner, name="nightly")
    other, admin = caller(stranger), boss()
    assert [one.ask("get", f"/keys/{key.pk}")[0] for one in (other, admin)] == [404, 200]
    assert [one.ask("post", f"/keys/{key.pk}/rotate", {})[0] for one in (other, admin)] == [404, 404]
    assert other.ask("get", "/keys?everybody=true")[0] == 403
    assert key.prefix in [one["prefix"] for one in admin.ask("get", "/keys?everybody=true")[1]["data"]]
    assert [one.ask("post", f"/keys/{key.pk}/revoke")[0] for one in (other, admin)] == [404, 200]


def test_an_administrators_key_without_the_scope_sees_its_owners_only(owner: User) -> None:
    key, _ = create_api_key(owner=owner, name="nightly")
    admin = User.objects.create_superuser("boss@example.com")
    assert caller(admin, scopes=["account"]).ask("get", f"/keys/{key.pk}")[0] == 404


def test_who_is_no_administrator_any_more_has_no_scope_admin(owner: User) -> None:
    admin = User.objects.create_superuser("boss@example.com")
    me = caller(admin)
    assert me.ask("get", "/workers")[0] == 200
    User.objects.filter(pk=admin.pk).update(role="member")
    from apps.accounts import keys

    keys._known.clear()
    assert me.ask("get", "/workers")[0] == 403


def test_the_profile_is_ones_own(owner: User) -> None:
    me = caller(owner)
    assert me.ask("patch", "/profile", {"name": "Ada"})[1]["name"] == "Ada"
    assert me.ask("get", "/profile")[1] == {
        "id": owner.pk,
        "email": "owner@example.com",
        "name": "Ada",
        "is_administrator": False,
    }


def limit(key: APIKey, amount: int | None, metric: Metric = Metric.REQUESTS) -> None:
    set_limit(scope=Limited.KEY, subject=str(key.pk), metric=metric, window=Window.DAY, amount=amount, actor=None)


def limits_of(key_id: str) -> dict[str, int | None]:
    return dict(Limit.objects.filter(scope=Limited.KEY, subject=key_id).values_list("metric", "amount"))


def test_a_key_makes_none_that_is_less_limited(owner: User) -> None:
    me = caller(owner)
    limit(APIKey.objects.get(), 5)
    made = me.made("/keys", {"name": "second", "scopes": ["account"]})
    assert limits_of(made["id"]) == {"requests": 5}


def test_a_new_secret_has_the_limits_of_the_old_and_of_its_maker(owner: User) -> None:
    me = caller(owner)
    maker, other = APIKey.objects.get(), create_api_key(owner=owner, name="other", scopes=["account"])[0]
    limit(maker, 5)
    limit(other, 3)
    limit(other, None, Metric.OUTPUT_TOKENS)
    made = me.made(f"/keys/{other.pk}/rotate", {})
    assert limits_of(made["id"]) == {"requests": 3, "output_tokens": None}
    limit(other, 9)
    APIKey.objects.filter(pk=other.pk).update(expires_at=None)
    assert limits_of(me.made(f"/keys/{other.pk}/rotate", {})["id"])["requests"] == 5


def test_a_key_of_a_team_makes_keys_of_that_team(owner: User) -> None:
    team = Team.objects.create(name="Quality")
    Membership.objects.create(team=team, user=owner)
    made = caller(owner, team=team).made("/keys", {"name": "second", "scopes": ["chat"]})
    assert APIKey.objects.get(pk=made["id"]).team == team
