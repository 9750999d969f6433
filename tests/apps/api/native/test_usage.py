"""Usage, limits and prices over the API: the pages' rules for the pages' people."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import APIKey, Membership, Role, Team, User
from apps.audit.models import AuditEntry
from apps.quotas.models import LedgerEntry, Limit, Price
from tests.apps.api.native.asking import boss, caller
from tests.apps.quotas.conftest import use  # noqa: F401  fixture

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = {"scope": "user", "metric": "requests", "window": "day", "amount": 5}


def test_usage_is_summed_up(owner: User, use: Any) -> None:  # noqa: F811
    for tokens in (10, 20):
        use(user=owner, output_tokens=tokens, compute_seconds=1.5)
    status, found = caller(owner).ask("get", "/usage?range=7&metric=output_tokens")
    assert status == 200, found
    assert (found["who"], found["total"]["output_tokens"], found["total"]["compute_seconds"]) == (
        f"user:{owner.pk}", 30, 3.0,
    )  # fmt: skip
    assert (len(found["buckets"]), sum(found["series"]["echo"])) == (7, 30)
    assert [(part["name"], part["share"]) for part in found["parts"]] == [("echo", 1.0)]
    assert caller(owner).ask("get", "/usage?range=24h")[1]["total"]["output_tokens"] == 30


@pytest.mark.parametrize("wrong", ["range=custom", "by=team", "range=custom&since=2026-01-02&until=2026-01-01"])
def test_what_cannot_be_asked_is_told(wrong: str, owner: User) -> None:
    assert caller(owner).ask("get", f"/usage?{wrong}")[0] == 400


@pytest.mark.parametrize("path", ["/usage", "/usage/csv", "/usage/limits"])
def test_whose_use_is_seen_by_whom(path: str, owner: User, member: User, stranger: User) -> None:
    """A leader sees the team, an administrator with a key for it everything."""
    team = Team.objects.create(name="Quality")
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    Membership.objects.create(team=team, user=member)
    admin = User.objects.create_superuser("boss@example.com")
    people = [caller(owner), caller(member), caller(stranger), caller(admin), caller(admin, scopes=["account"])]
    for who, wanted in {
        f"team:{team.pk}": [200, 404, 404, 200, 404],
        f"user:{member.pk}": [404, 200, 404, 200, 404],
        "organization": [404, 404, 404, 200, 404],
        "team:x": [404] * 5,
    }.items():
        found = [Client().get(f"/api/v1{path}?who={who}", headers=one.headers).status_code for one in people]
        assert (who, found) == (who, wanted)


def test_taking_what_is_of_others_is_written_down(owner: User, use: Any) -> None:  # noqa: F811
    use(user=owner)
    answer = Client().get("/api/v1/usage/csv?who=organization", headers=boss().headers)
    assert b"owner@example.com" in b"".join(answer)
    assert AuditEntry.objects.filter(action="usage.export", actor_label="boss@example.com").count() == 1


def test_a_limit_from_its_beginning_to_its_end(owner: User) -> None:
    me, mine = boss(), {**LIMIT, "subject": str(owner.pk)}
    LedgerEntry.objects.create(at="2026-01-01T00:00Z", source="request:1", kind="k", user_id=owner.pk)
    assert me.ask("post", "/limits/effect", {**mine, "amount": 0})[1]["over"] == ["owner@example.com"]
    assert not Limit.objects.exists()
    status, made = me.ask("put", "/limits", mine)
    assert (status, made["amount"], made["set_by"]) == (200, 5, "boss@example.com")
    assert me.ask("put", "/limits", {**mine, "amount": 7})[1]["id"] == made["id"]
    standing = caller(owner).ask("get", "/usage/limits")[1]["data"]
    assert [(one["metric"], one["amount"], one["is_default"]) for one in standing] == [("requests", 7, False)]
    assert [one["id"] for one in me.ask("get", f"/limits?scope=user&subject={owner.pk}")[1]["data"]] == [made["id"]]
    assert me.ask("delete", f"/limits/{made['id']}") == (204, None)
    applied = me.ask("post", "/limits/presets", {"scope": "user", "subject": str(owner.pk), "preset": "free"})[1]
    assert len(applied["data"]) == 8
    assert {one["name"] for one in me.ask("get", "/limits/presets")[1]["data"]} == {"free", "standard", "unlimited"}


@pytest.mark.parametrize(
    "wrong",
    [{"window": "now"}, {"subject": "999999"}, {"subject": "x"}, {"scope": "key", "subject": "x"}, {"amount": -1},
     {"scope": "organization", "subject": "1"}],
)  # fmt: skip
@pytest.mark.parametrize(("method", "path"), [("put", "/limits"), ("post", "/limits/effect")])
def test_a_limit_that_cannot_be(method: str, path: str, wrong: dict[str, Any]) -> None:
    assert boss().ask(method, path, {**LIMIT, **wrong})[0] == 400
    assert not Limit.objects.exists()


def test_prices_are_set_and_removed() -> None:
    me = boss()
    status, made = me.ask("put", "/prices", {"metric": "output_tokens", "price": 4.1})
    assert (status, made["price"], made["unit"], made["model"]) == (200, 4.1, 10**6, "")
    assert me.ask("put", "/prices", {"metric": "output_tokens", "price": 1, "model": "gone"})[0] == 400
    assert me.ask("put", "/prices", {"metric": "stored_bytes", "price": 1})[0] == 400
    assert me.ask("get", "/prices")[1]["data"] == [made]
    assert me.ask("delete", f"/prices/{made['id']}") == (204, None)
    assert not Price.objects.exists()


@pytest.mark.parametrize("path", ["/limits", "/prices", "/people", "/organization"])
def test_a_role_that_is_gone_is_gone(path: str, owner: User) -> None:
    admin = User.objects.create_superuser("boss@example.com")
    me = caller(admin)
    assert me.ask("get", path)[0] == 200
    User.objects.filter(pk=admin.pk).update(role=Role.MEMBER)
    from apps.accounts import keys

    keys._known.clear()
    assert me.ask("get", path)[0] == 403
    assert caller(owner).ask("get", path)[0] == 403
    assert APIKey.objects.count() == 2
