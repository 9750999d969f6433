"""Pages: three people, one and thirty rows, and what forms do."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Membership, Role, Team, User
from apps.search import collections
from apps.search.models import CatalogueText, Click, Collection, Picture, SavedSearch, UploadItem
from tests.apps.search.conftest import ColourWorker, fill, png

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(name: str, *arguments: Any) -> str:
    return reverse(f"search:{name}", args=arguments)


def test_a_stranger_gets_404_and_a_member_looks(filled: Collection, owner: User, member: User, stranger: User) -> None:
    team = Team.objects.create(name="Ours")
    for one in (owner, member):
        Membership.objects.create(team=team, user=one)
    collections.change(collection=filled, team=team)
    picture = Picture.objects.get(name="red.png")
    saved = SavedSearch.objects.create(owner=owner, collection=filled, name="red", query="part=words:1:red")
    seen = [
        url("page", filled.pk) + "?q=red", url("more", filled.pk), url("manage", filled.pk), url("live", filled.pk),
        url("picture", picture.pk), url("file", picture.pk), url("thumbnail", picture.pk),
        url("duplicates", filled.pk, "near"),
    ]  # fmt: skip
    for address in seen:
        codes = [browser(who).get(address).status_code for who in (owner, member, stranger)]
        assert codes == [200, 200, 404], address
        assert Client().get(address).status_code == 302
    link = url("saved", saved.pk)
    assert browser(member).get(link)["Location"] == url("page", filled.pk) + "?part=words:1:red"
    assert browser(stranger).get(link).status_code == 404
    for name in (
        "change",
        "delete",
        "switch",
        "measure",
        "add_texts",
        "clear_texts",
        "delete_pictures",
        "tag_pictures",
    ):
        codes = [browser(who).post(url(name, filled.pk)).status_code for who in (member, stranger)]
        assert codes == [404, 404], name
    for name in ("describe", "delete_picture"):
        assert browser(member).post(url(name, picture.pk)).status_code == 404
    assert browser(member).post(url("upload"), {"collection": filled.pk}).status_code == 404
    assert Picture.objects.count() == 9


def test_results_stand_in_order_with_their_scores(filled: Collection, owner: User) -> None:
    page = browser(owner).get(url("page", filled.pk), {"q": "red"}).content.decode()
    assert page.index("red.png") < page.index("both.png")
    assert '<span class="score">1.000</span>' in page and "green.png" not in page
    assert "The rest scores below" in page


def test_a_query_that_cannot_be_read_is_told_and_kept(filled: Collection, owner: User) -> None:
    answer = browser(owner).get(url("page", filled.pk), {"part": "words:9:a"})
    assert answer.status_code == 422 and "its weight is between" in answer.content.decode()


def test_viewers_browse_but_ask_no_model(filled: Collection, seer: ColourWorker, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(role=Role.VIEWER)
    owner.refresh_from_db()
    seen = len(seer.engine.seen)
    assert browser(owner).get(url("page", filled.pk)).status_code == 200
    assert browser(owner).get(url("page", filled.pk), {"q": "new words"}).status_code == 403
    assert len(seer.engine.seen) == seen


def test_files_are_uploaded_in_several_requests(collection: Collection, seer: ColourWorker, owner: User) -> None:
    client = browser(owner)
    headers = {"HX-Request": "true"}
    one = SimpleUploadedFile("a.png", png("red"))
    first = client.post(url("upload"), {"collection": collection.pk, "files": one}, headers=headers).json()
    two = [SimpleUploadedFile("b.png", png("blue")), SimpleUploadedFile("c.txt", b"no")]
    client.post(url("upload"), {"upload": first["upload"], "files": two}, headers=headers)
    seer.drain()
    assert list(UploadItem.objects.values_list("name", "state")) == [
        ("a.png", "done"), ("b.png", "done"), ("c.txt", "failed"),
    ]  # fmt: skip
    page = client.get(url("live", collection.pk)).content.decode()
    assert "2 of 3 files can be found" in page and "The file is no picture that can be read" in page


def test_a_picture_is_sent_to_search_with(filled: Collection, owner: User, stranger: User) -> None:
    client = browser(owner)
    sent = client.post(url("send"), {"picture": SimpleUploadedFile("q.png", png("green"))}).json()
    assert sent["is_ready"] and client.get(sent["picture"]).status_code == 200
    page = client.get(url("page", filled.pk), {"part": f"sent:1:{sent['id']}"}).content.decode()
    assert "green.png" in page
    assert browser(stranger).get(sent["look"]).status_code == 404
    assert browser(stranger).get(sent["picture"]).status_code == 404


def test_a_search_is_saved_and_deleted(filled: Collection, owner: User) -> None:
    client = browser(owner)
    client.post(url("save", filled.pk), {"name": "Reds", "query": "q=red&tag=sale"})
    saved = SavedSearch.objects.get()
    assert saved.query == "part=words:1:red&tag=sale"
    client.post(url("delete_saved", saved.pk))
    assert not SavedSearch.objects.exists()
    client.post(url("save", filled.pk), {"name": "Sent", "query": f"part=sent:1:{uuid4()}"})
    assert not SavedSearch.objects.exists()


def test_clicks_are_counted(filled: Collection, owner: User, stranger: User) -> None:
    picture = Picture.objects.get(name="red.png")
    values = {"query": "part=words:1:red", "place": 1, "picture": str(picture.pk)}
    assert browser(owner).post(url("click", filled.pk), values).status_code == 204
    assert browser(stranger).post(url("click", filled.pk), values).status_code == 404
    assert browser(owner).post(url("click", filled.pk), {"place": 0}).status_code == 422
    assert Click.objects.values_list("place", "query").get() == (1, "part=words:1:red")
    assert "Results opened" in browser(owner).get(url("manage", filled.pk)).content.decode()


def test_pictures_are_described_tagged_and_deleted(filled: Collection, owner: User, media: Any) -> None:
    client = browser(owner)
    red, blue = Picture.objects.get(name="red.png"), Picture.objects.get(name="blue.png")
    client.post(url("describe", red.pk), {"tags": "sale， summer,sale", "caption": " A red one "})
    red.refresh_from_db()
    assert (red.tags, red.caption) == (["sale", "summer"], "A red one")
    client.post(url("tag_pictures", filled.pk), {"picture": [red.pk, blue.pk, "nonsense"], "tag": "both"})
    assert Picture.objects.filter(tags__contains=["both"]).count() == 2
    client.post(url("delete_pictures", filled.pk), {"picture": [blue.pk], "next": "https://elsewhere.example/"})
    assert not Picture.objects.filter(pk=blue.pk).exists() and not (media / blue.file).exists()


def test_texts_are_added_once(filled: Collection, seer: ColourWorker, owner: User) -> None:
    client = browser(owner)
    content = "sku,title\n1,red bag\n2,blue 蓝 bag\n2,blue 蓝 bag\n3,\n".encode("gb18030")
    for _ in range(2):
        client.post(url("add_texts", filled.pk), {"file": SimpleUploadedFile("a.csv", content)})
    seer.drain()
    assert list(CatalogueText.objects.values_list("code", "text")) == [("1", "red bag"), ("2", "blue 蓝 bag")]
    page = client.get(url("picture", Picture.objects.get(name="red.png").pk)).content.decode()
    assert page.index("red bag") < page.index("blue 蓝 bag")


def test_labels_are_asked_of_a_picture(filled: Collection, owner: User) -> None:
    red = Picture.objects.get(name="red.png")
    page = browser(owner).post(url("labels", red.pk), {"labels": "green, red，blue"}).content.decode()
    assert page.index("red") < page.index("green")
    assert browser(owner).post(url("labels", red.pk), {"labels": "green"}).status_code == 422


def test_duplicates_are_three_lists(filled: Collection, seer: ColourWorker, owner: User) -> None:
    fill(filled, seer, {"large.png": png("red", "blue", size=(400, 200)), "other.png": png("blue", "red")})
    other = collections.create(owner=owner, name="Other", deployment="colours")
    fill(other, seer, {"same.png": png("red")})
    client = browser(owner)

    def names(kind: str) -> list[list[str]]:
        groups = client.get(url("duplicates", filled.pk, kind)).context["groups"]
        return [[picture.name for picture in group] for group in groups]

    assert names("exact") == [["red.png", "same.png"]]
    assert names("near") == [["large.png", "both.png"]]
    assert sorted(names("similar")[0]) == ["both.png", "large.png", "other.png"]
    assert client.get(url("duplicates", filled.pk, "else")).status_code == 404


def test_files_carry_a_policy_of_their_own(filled: Collection, owner: User) -> None:
    answer = browser(owner).get(url("file", Picture.objects.get(name="red.png").pk))
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Content-Type"] == "image/png"
    again = browser(owner).get(answer.request["PATH_INFO"], headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304


def test_lists_cost_the_same_with_one_and_with_thirty(filled: Collection, owner: User) -> None:
    client = browser(owner)
    client.get(url("page", filled.pk), {"q": "red"})

    def queries(address: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    addresses = [url("collections"), url("page", filled.pk) + "?q=red&cut=-1", url("page", filled.pk)]
    few = [queries(address) for address in addresses]
    for n in range(30):
        Collection.objects.create(owner=owner, name=f"More {n}")
    made = Picture.objects.get(name="red.png")
    for n in range(30):
        made.pk, made.sha256, made.held_as = uuid4(), f"{n:064x}", f"x{n}"
        made.save(force_insert=True)
    assert [queries(address) for address in addresses] == few
