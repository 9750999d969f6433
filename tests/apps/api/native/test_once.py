"""Idempotency-Key on what makes something: once, and the same answer again."""

import pytest

from apps.accounts.models import APIKey, User
from apps.chat.models import Conversation, Preset
from apps.serving.connection import client
from tests.apps.api.native.asking import caller

pytestmark = pytest.mark.django_db(transaction=True)
KEY = {"idempotency_key": "first"}


def test_the_second_is_the_first(owner: User) -> None:
    me = caller(owner)
    first = me.made("/conversations", {"title": "Once"}, **KEY)
    assert me.made("/conversations", {"title": "Once"}, **KEY) == first
    assert Conversation.objects.count() == 1
    assert me.made("/conversations", {"title": "Once"})["id"] != first["id"]


def test_another_body_is_refused(owner: User) -> None:
    me = caller(owner)
    me.made("/conversations", {"title": "Once"}, **KEY)
    status, refused = me.ask("post", "/conversations", {"title": "Twice"}, **KEY)
    assert (status, refused["error"]["code"]) == (422, "idempotency_key_reused")


def test_what_was_refused_may_be_tried_again(owner: User) -> None:
    me = caller(owner)
    assert me.ask("post", "/presets", {"name": " ", "parameters": {}}, **KEY)[0] == 400
    assert not Preset.objects.exists()
    assert me.ask("post", "/presets", {"name": " ", "parameters": {}}, **KEY)[0] == 400
    me.made("/presets", {"name": "calm"}, **KEY)


def test_a_secret_is_told_once(owner: User) -> None:
    me = caller(owner)
    first = me.made("/keys", {"name": "nightly", "scopes": ["chat"]}, **KEY)
    assert me.made("/keys", {"name": "nightly", "scopes": ["chat"]}, **KEY) == {**first, "secret": None}
    assert APIKey.objects.filter(name="nightly").count() == 1
    kept = [client().get(name) for name in client().keys("idempotency:*")]
    assert len(kept) == 1
    assert first["secret"] not in kept[0]


def test_one_at_work_is_waited_for(owner: User) -> None:
    me = caller(owner)
    me.made("/conversations", {"title": "Once"}, **KEY)
    (name,) = client().keys("idempotency:*")
    body, _, _ = client().get(name).partition(" ")
    client().set(name, f"{body} ")
    status, refused = me.ask("post", "/conversations", {"title": "Once"}, **KEY)
    assert (status, refused["error"]["code"]) == (409, "idempotency_key_in_use")


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
def test_what_is_no_key_is_refused(key: str, owner: User) -> None:
    assert caller(owner).ask("post", "/conversations", {}, idempotency_key=key)[0] == 400


def test_keys_of_two_people_have_nothing_to_do_with_each_other(owner: User, stranger: User) -> None:
    first = caller(owner).made("/conversations", {}, **KEY)
    assert caller(stranger).made("/conversations", {}, **KEY)["id"] != first["id"]
