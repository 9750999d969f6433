"""API keys: what they may, when they end, who may touch them, and what is kept of them."""

import hashlib
import logging
from datetime import timedelta

import pytest
from django.http import Http404
from django.utils import timezone

from apps.accounts import keys
from apps.accounts.models import APIKey, Role, Scope, User
from apps.accounts.permissions import owned_key
from apps.audit.queries import entries_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def make(owner: User, **values: object) -> tuple[APIKey, str]:
    return keys.create_api_key(owner=owner, name="nightly", **values)  # type: ignore[arg-type]


def test_only_the_hash_is_kept(owner: User) -> None:
    key, secret = make(owner)
    stored = APIKey.objects.values().get()
    assert (stored["digest"], stored["prefix"]) == (hashlib.sha256(secret.encode()).hexdigest(), secret[:10])
    assert [value for value in stored.values() if secret in str(value)] == []
    assert keys.authenticate_key(secret) == key


def test_a_secret_with_the_same_beginning_is_another(owner: User) -> None:
    _, secret = make(owner)
    assert keys.authenticate_key(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None
    assert keys.authenticate_key(secret[:10]) is None


def test_scopes_are_those_the_owner_may_give(owner: User) -> None:
    assert make(owner)[0].scopes == [scope for scope in Scope.values if scope != "admin"]
    assert make(owner, scopes=["embeddings", "chat"])[0].scopes == ["chat", "embeddings"]
    with pytest.raises(ValueError, match="scopes: 'admin' cannot be given"):
        make(owner, scopes=["admin"])
    with pytest.raises(ValueError, match="scopes: name at least one"):
        make(owner, scopes=[])
    owner.role = Role.ADMIN
    assert make(owner)[0].scopes == Scope.values


def test_a_key_ends_at_its_time(owner: User) -> None:
    key, secret = make(owner, expires_at=timezone.now() + HOUR)
    assert keys.authenticate_key(secret) == key
    assert keys.known_key(secret) == key
    keys._known[key.digest][0].expires_at = timezone.now()  # also where it is remembered
    assert keys.known_key(secret) is None
    APIKey.objects.update(expires_at=timezone.now())
    assert keys.authenticate_key(secret) is None
    with pytest.raises(ValueError, match="expires_at: is in the past"):
        make(owner, expires_at=timezone.now())


def test_a_revoked_key_is_refused_at_once_here_and_within_a_second_elsewhere(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = make(owner)
    keys.authenticate_key(secret)
    remembered = dict(keys._known)
    keys.revoke_api_key(key=key)
    assert keys.known_key(secret) is None
    monkeypatch.setattr(keys, "_known", remembered)  # another process
    assert keys.known_key(secret) == key
    soon = keys.time.monotonic() + 1.0
    monkeypatch.setattr(keys.time, "monotonic", lambda: soon)
    assert keys.known_key(secret) is None
    assert keys.authenticate_key(secret) is None


def test_a_key_of_somebody_locked_out_is_refused(owner: User) -> None:
    _, secret = make(owner)
    User.objects.update(is_active=False)
    assert keys.authenticate_key(secret) is None


def test_rotation_leaves_the_old_key_until_its_time(owner: User) -> None:
    old, secret = make(owner, scopes=["chat"], deployments=["echo"])
    new, fresh = keys.rotate_api_key(key=old, actor=owner, overlap=HOUR)
    assert (new.name, new.scopes, new.deployments, new.replaces, new.expires_at) == (
        "nightly", ["chat"], ["echo"], old, None,
    )  # fmt: skip
    assert keys.authenticate_key(secret) == old
    assert keys.authenticate_key(fresh) == new
    old.refresh_from_db()
    assert timedelta(minutes=59) < old.expires_at - timezone.now() <= HOUR
    APIKey.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert keys.authenticate_key(secret) is None


def test_rotation_never_lengthens_the_old_key_and_keeps_its_span(owner: User) -> None:
    old, _ = make(owner, expires_at=timezone.now() + HOUR)
    before = old.expires_at
    new, _ = keys.rotate_api_key(key=old, actor=owner)
    old.refresh_from_db()
    assert old.expires_at == before
    assert abs((new.expires_at - timezone.now()) - HOUR) < timedelta(seconds=5)


def test_a_key_that_has_ended_is_not_rotated(owner: User) -> None:
    key, _ = make(owner)
    keys.revoke_api_key(key=key)
    key.refresh_from_db()
    with pytest.raises(ValueError, match="key: has ended"):
        keys.rotate_api_key(key=key, actor=owner)


def test_what_is_done_to_keys_is_written_down(owner: User) -> None:
    key, secret = make(owner, scopes=["chat"], address="10.0.0.1")
    new, fresh = keys.rotate_api_key(key=key, actor=owner, overlap=HOUR)
    keys.revoke_api_key(key=new, actor=owner)
    keys.revoke_api_key(key=new, actor=owner)
    entries = [*entries_of(key), *entries_of(new)]
    assert [(entry.action, entry.actor_label) for entry in entries] == [
        ("apikey.rotate", owner.email), ("apikey.create", owner.email), ("apikey.revoke", owner.email),
    ]  # fmt: skip
    assert (entries[1].address, entries[1].data) == ("10.0.0.1", {"owner": owner.email, "scopes": ["chat"]})
    assert entries[0].data["replacement"] == new.prefix
    assert [entry for entry in entries if secret in str(vars(entry)) or fresh in str(vars(entry))] == []


@pytest.mark.parametrize("person", ["member", "stranger"])
def test_keys_of_others_do_not_exist(owner: User, person: str, request: pytest.FixtureRequest) -> None:
    key, _ = make(owner)
    assert owned_key(owner, key.pk) == key
    with pytest.raises(Http404):
        owned_key(request.getfixturevalue(person), key.pk)


@pytest.mark.django_db(transaction=True)
def test_use_is_noted_behind_the_request_once_a_minute(owner: User) -> None:
    def use() -> object:
        keys.authenticate_key(secret)
        keys.wait_for_notes()
        return APIKey.objects.get().last_used_at

    key, secret = make(owner)
    first = use()
    assert first is not None
    assert use() == first
    APIKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    again = use()
    assert again >= first  # type: ignore[operator]
    keys._note_use(key.pk)  # of another process, which saw the old time
    assert APIKey.objects.get().last_used_at == again


def test_a_warm_key_asks_no_database(owner: User, django_assert_num_queries) -> None:
    key, secret = make(owner)
    keys.authenticate_key(secret)
    with django_assert_num_queries(0):
        assert keys.known_key(secret) == key


def test_keys_are_in_no_log(owner: User, caplog: pytest.LogCaptureFixture, client) -> None:
    caplog.set_level(logging.DEBUG)
    _, secret = make(owner)
    for header in (f"Bearer {secret}", f"Bearer {secret}x", f"Basic {secret}"):
        client.get("/v1/models", headers={"Authorization": header})
        client.post("/v1/chat/completions", "{", content_type="application/json", headers={"Authorization": header})
    assert caplog.records != []
    assert [record for record in caplog.records if secret in f"{record.getMessage()} {vars(record)}"] == []


def test_raw_data_shows_keys_and_changes_none(owner: User, admin_client) -> None:
    key, _ = make(owner)
    address = f"/admin/accounts/apikey/{key.pk}/"
    assert key.digest not in admin_client.get(f"{address}change/").content.decode()
    assert admin_client.post(f"{address}change/", {"name": "x"}).status_code == 403
    assert admin_client.post(f"{address}delete/", {"post": "yes"}).status_code == 403
