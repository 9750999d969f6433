"""Collections of pictures over the API: from an empty one to a search, and whose they are."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User
from apps.search.models import Click, Collection, Picture
from tests.apps.api.native.asking import Caller, caller
from tests.apps.search.conftest import (  # noqa: F401  fixtures
    ColourWorker,
    at_once,
    collection,
    filled,
    media,
    png,
    seer,
)

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def send(me: Caller, path: str, **body: Any) -> tuple[int, Any]:
    answer = Client().post(f"/api/v1{path}", body, headers=me.headers)
    return answer.status_code, answer.json() if answer.content else None


def test_from_an_empty_collection_to_a_search(owner: User, seer: ColourWorker) -> None:  # noqa: F811
    me = caller(owner)
    made = me.made("/search/collections", {"name": "Ours", "model": "colours"})
    path = f"/search/collections/{made['id']}"
    files = [SimpleUploadedFile(f"{one}.png", png(one)) for one in ("red", "blue")] + [SimpleUploadedFile("x.png", b"")]
    status, upload = send(me, "/search/uploads", collection=made["id"], files=files)
    assert (status, upload["total"]) == (201, 3)
    seer.drain()
    state = me.ask("get", f"/search/uploads/{upload['id']}")[1]
    assert (state["done"], state["failed"], state["waiting"]) == (2, 1, 0)
    listed = me.ask("get", f"/search/uploads/{upload['id']}/files")[1]["data"]
    assert [(one["name"], one["state"], one["error"]) for one in listed] == [
        ("red.png", "done", ""), ("blue.png", "done", ""), ("x.png", "failed", "The file is empty."),
    ]  # fmt: skip
    index = me.ask("get", path)[1]["indexes"][0]
    assert (index["state"], index["pictures"], index["waiting"], index["model"]) == ("serving", 2, 0, "colours")

    found = me.ask("post", f"{path}/search", {"parts": [{"words": "红"}], "cut": 0.5})[1]
    assert [(hit["picture"]["name"], round(hit["score"], 2)) for hit in found["data"]] == [("red.png", 1.0)]
    first = me.ask("post", f"{path}/search", {"parts": [{"words": "red"}], "cut": -1, "limit": 1})[1]
    second = me.ask(
        "post", f"{path}/search", {"parts": [{"words": "red"}], "cut": -1, "limit": 1, "cursor": first["next"]}
    )[1]
    assert [hit["picture"]["name"] for hit in first["data"] + second["data"]] == ["red.png", "blue.png"]
    assert second["next"] is None

    picture = found["data"][0]["picture"]["id"]
    assert me.ask("patch", f"/search/pictures/{picture}", {"tags": ["sale"]})[1]["tags"] == ["sale"]
    tagged = me.ask("post", f"{path}/search", {"tags": ["sale"]})[1]["data"]
    assert [(hit["picture"]["id"], hit["score"]) for hit in tagged] == [(picture, None)]
    labels = me.ask("post", f"/search/pictures/{picture}/labels", {"labels": ["green", "red"]})[1]
    assert [one["label"] for one in labels] == ["red", "green"]
    why = me.ask("post", f"/search/pictures/{picture}/why", {"parts": [{"words": "red"}]})[1]
    assert [part["part"] for part in why["parts"]] == ["words:1:red"] and why["looked"] is None
    assert why["score"] == why["parts"][0]["share"] > 0.9
    assert me.ask("post", f"/search/pictures/{picture}/why", {}) == (200, None)
    content = Client().get(f"/api/v1/search/pictures/{picture}/file", headers=me.headers)
    assert content["Content-Type"] == "image/png"
    similar = me.ask("get", f"/search/pictures/{picture}/similar")[1]
    assert [hit["picture"]["name"] for hit in similar] == ["blue.png"]
    assert me.ask("delete", f"/search/pictures/{picture}") == (204, None)
    assert me.ask("delete", path) == (204, None)
    assert not Picture.objects.exists()


def test_texts_searches_and_clicks(owner: User, filled: Collection, seer: ColourWorker) -> None:  # noqa: F811
    me, path = caller(owner), f"/search/collections/{filled.pk}"
    assert send(me, f"{path}/texts", file=SimpleUploadedFile("a.csv", b"sku,text\n1,red bag\n2,blue bag\n"))[1] == {
        "count": 2
    }
    seer.drain()
    red = Picture.objects.get(name="red.png").pk
    texts = me.ask("get", f"/search/pictures/{red}/texts")[1]
    assert [(one["code"], one["text"]) for one in texts] == [("1", "red bag"), ("2", "blue bag")]
    saved = me.made(f"{path}/searches", {"name": "Reds", "query": {"parts": [{"words": "red"}], "tags": ["sale"]}})
    assert saved["query"] == "part=words:1:red&tag=sale"
    assert me.ask("get", f"{path}/searches")[1]["data"] == [saved]
    assert me.ask("delete", f"/search/searches/{saved['id']}") == (204, None)
    assert me.ask("post", f"{path}/clicks", {"place": 2, "picture": str(red), "query": "red"}) == (204, None)
    assert me.ask("post", f"{path}/clicks", {"place": 2})[0] == 400
    assert Click.objects.get().place == 2
    assert me.ask("delete", f"{path}/texts") == (204, None)
    groups = me.ask("get", f"{path}/duplicates/near")[1]
    assert groups == []


def test_a_picture_is_sent_and_searched_with(owner: User, filled: Collection) -> None:  # noqa: F811
    me = caller(owner)
    status, sent = send(me, "/search/query-pictures", picture=SimpleUploadedFile("q.png", png("green", "red")))
    assert (status, sent["is_ready"]) == (202, True)
    assert me.ask("get", f"/search/query-pictures/{sent['id']}")[1] == sent
    query = {"parts": [{"sent": sent["id"], "crop": [0, 0, 0.5, 1]}]}
    found = me.ask("post", f"/search/collections/{filled.pk}/search", query)[1]["data"]
    assert found[0]["picture"]["name"] == "green.png"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"parts": [{}]}, "part"),
        ({"parts": [{"words": "a", "weight": 3}]}, "parts.0.weight"),
        ({"parts": [{"words": "a"}, {"words": "a", "weight": -1}]}, "part"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"collections": ["x"]}, "collections.0"),
    ],
)
def test_what_is_no_query_is_told(owner: User, filled: Collection, body: dict[str, Any], param: str) -> None:  # noqa: F811
    status, answer = caller(owner).ask("post", f"/search/collections/{filled.pk}/search", body)
    assert (status, answer["error"]["param"]) == (400, param)


def test_a_key_that_is_for_other_models_does_not_search(owner: User, filled: Collection) -> None:  # noqa: F811
    me = caller(owner, deployments=["other"])
    path = f"/search/collections/{filled.pk}/search"
    assert me.ask("post", path, {"parts": [{"words": "red"}]})[0] == 404
    assert me.ask("post", path, {})[0] == 200


def test_it_is_nobody_elses(owner: User, stranger: User, filled: Collection) -> None:  # noqa: F811
    """Not even an administrator's."""
    admin = User.objects.create_superuser("boss@example.com")
    for other in (caller(stranger), caller(admin)):
        assert other.ask("get", f"/search/collections/{filled.pk}")[0] == 404
        assert other.ask("post", f"/search/collections/{filled.pk}/search", {})[0] == 404
        assert other.ask("get", "/search/collections")[1]["data"] == []
