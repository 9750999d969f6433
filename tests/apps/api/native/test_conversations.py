"""Conversations over the API: what the chat page does, for its owner only."""

from typing import Any

import pytest

from apps.accounts.models import User
from apps.chat.models import Conversation
from tests.apps.api.native.asking import boss, caller
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_conversation_from_its_beginning_to_its_end(worker: FakeWorker, owner: User) -> None:
    me = caller(owner)
    talk = me.made("/conversations", {"model": "echo", "system_prompt": "Be short.", "parameters": {"temperature": 0}})
    assert (talk["title"], talk["model"], talk["parameters"], talk["leaf"]) == ("", "echo", {"temperature": 0.0}, None)
    first = me.made(f"/conversations/{talk['id']}/messages", {"text": "one two"})
    assert (first["question"]["parent"], first["answer"]["parent"]) == (None, first["question"]["id"])
    assert (first["answer"]["status"], len(first["answer"]["request_id"])) == ("waiting", 32)
    worker.finish()
    second = me.made(f"/messages/{first['answer']['id']}/regenerate", {})
    worker.finish()

    status, found = me.ask("get", f"/conversations/{talk['id']}")
    assert (status, found["title"], found["leaf"]) == (200, "one two", second["id"])
    assert [message["status"] for message in found["messages"]] == ["done"] * 3
    assert found["thread"] == [first["question"]["id"], second["id"]]

    assert me.ask("post", f"/messages/{first['answer']['id']}/select") == (204, None)
    assert me.ask("get", f"/conversations/{talk['id']}")[1]["leaf"] == first["answer"]["id"]
    assert me.ask("put", f"/messages/{second['id']}/rating", {"rating": 1})[1]["rating"] == 1
    branch = me.made(f"/conversations/{talk['id']}/messages", {"text": "else", "parent": None})
    assert branch["question"]["parent"] is None
    worker.finish()

    changed = me.ask("patch", f"/conversations/{talk['id']}", {"title": "Ours", "pinned": True})[1]
    assert (changed["title"], changed["pinned"], changed["system_prompt"]) == ("Ours", True, "Be short.")
    assert [one["id"] for one in me.ask("get", "/conversations?search=else")[1]["data"]] == [talk["id"]]
    assert me.ask("get", f"/conversations/{talk['id']}/export")[1]["title"] == "Ours"
    assert me.ask("delete", f"/conversations/{talk['id']}") == (204, None)
    assert me.ask("get", f"/conversations/{talk['id']}")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("patch", "", {"title": "Mine"}),
        ("delete", "", None),
        ("get", "/export", None),
        ("post", "/messages", {"text": "hello"}),
    ],
)
def test_it_is_nobody_elses(
    method: str, path: str, body: Any, worker: FakeWorker, owner: User, member: User, stranger: User
) -> None:
    """Not even an administrator's: what is said is between its owner and the model."""
    talk = caller(owner).made("/conversations", {"model": "echo"})
    others = [caller(member), caller(stranger), boss()]
    answers = [one.ask(method, f"/conversations/{talk['id']}{path}", body)[0] for one in others]
    assert answers == [404, 404, 404]
    assert caller(owner).ask(method, f"/conversations/{talk['id']}{path}", body)[0] in (200, 201, 204)


def test_a_key_for_some_models_has_to_name_one(worker: FakeWorker, owner: User) -> None:
    limited = caller(owner, deployments=["echo"])
    talk = limited.made("/conversations", {})
    status, refused = limited.ask("post", f"/conversations/{talk['id']}/messages", {"text": "hello"})
    assert (status, refused["error"]["param"]) == (400, "model")
    assert limited.ask("patch", f"/conversations/{talk['id']}", {"model": "echo"})[0] == 200
    limited.made(f"/conversations/{talk['id']}/messages", {"text": "hello"})
    worker.finish()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"titel": "typo"}, "titel"),
        ({"parameters": {"temperature": 3}}, "parameters.temperature"),
        ({"system_prompt": "a\x00b"}, "system_prompt"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(body: dict[str, Any], param: str, owner: User) -> None:
    status, refused = caller(owner).ask("post", "/conversations", body)
    assert (status, refused["error"]["param"]) == (400, param)
    assert not Conversation.objects.exists()


def test_a_blind_comparison_tells_nothing_before_the_vote(worker: FakeWorker, owner: User) -> None:
    me = caller(owner)
    lanes = [{"model": "echo", "parameters": {"seed": 1}}, {"model": "echo", "parameters": {"seed": 2}}]
    both = me.made("/comparisons", {"prompt": "who?", "blind": True, "lanes": lanes})
    worker.finish()
    hidden = me.ask("get", f"/comparisons/{both['id']}")[1]["lanes"]
    assert [(one["model"], one["parameters"], one["usage"]) for one in hidden] == [("", {}, {})] * 2
    told = me.ask("put", f"/comparisons/{both['id']}/vote", {"vote": "A"})[1]
    assert [(one["model"], one["parameters"]["seed"]) for one in told["lanes"]] == [("Echo", 1), ("Echo", 2)]
    assert me.ask("get", "/comparisons/votes")[1] == {"A": 1, "B": 0, "T": 0, "N": 0}


def test_a_temporary_chat_leaves_nothing_behind(worker: FakeWorker, owner: User) -> None:
    me = caller(owner)
    said = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    assert me.ask("post", "/temporary-chats", {"messages": said})[1]["error"]["param"] == "messages"
    sent = me.made("/temporary-chats", {"model": "echo", "messages": [*said, said[0]], "system_prompt": "Be short."})
    worker.finish()
    assert me.ask("get", f"/requests/{sent['request_id']}")[1]["state"] == "done"
    assert not Conversation.objects.exists()


def test_a_preset_is_saved_replaced_and_deleted(owner: User, stranger: User) -> None:
    me = caller(owner)
    calm = me.made("/presets", {"name": "calm", "parameters": {"temperature": 0.1}})
    assert me.made("/presets", {"name": "calm", "parameters": {}})["id"] == calm["id"]
    assert me.ask("get", f"/presets/{calm['id']}")[1]["parameters"] == {}
    assert caller(stranger).ask("delete", f"/presets/{calm['id']}")[0] == 404
    assert me.ask("delete", f"/presets/{calm['id']}")[0] == 204
