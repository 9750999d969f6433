"""The demo collection: what is there is offered with its licence, what is not is named."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import User
from apps.search import demo, searching, uploads
from apps.search.models import Collection, Picture
from apps.search.query import Part, Query
from tests.apps.search.conftest import ColourWorker, png
from tests.apps.search.test_views import browser, url

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def data(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two emoji, in the form of the npm package, and two photos."""
    settings.DATA_DIR = str(tmp_path)
    (tmp_path / "emoji").mkdir()
    rows = [{"name": "RED CIRCLE", "short_name": "red_circle", "image": "1f534.png"},
            {"name": None, "short_name": "blue", "image": "1f535.png"},
            {"name": "NOT DRAWN", "short_name": "none", "image": "0.png"}]  # fmt: skip
    content = {
        "package/img/twitter/64/1f534.png": png("red"), "package/img/twitter/64/1f535.png": png("blue"),
        "package/img/twitter/32/1f534.png": b"another size", "package/emoji.json": json.dumps(rows).encode(),
    }  # fmt: skip
    with tarfile.open(tmp_path / "emoji" / "emoji-datasource-twitter-16.0.0.tgz", "w:gz") as package:
        for name, one in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(one)
            package.addfile(member, io.BytesIO(one))
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, colour in (("chelsea.png", "orange"), ("grass.png", "green")):
        (photos / name).write_bytes(png(colour))
    kept = {name: demo._PHOTOS[name] for name in ("chelsea.png", "grass.png")}
    monkeypatch.setattr(demo, "_PHOTOS", kept)
    monkeypatch.setattr(demo, "_photos", lambda: photos)
    return tmp_path


def test_it_is_searchable_at_once_and_says_whose_pictures_they_are(seer: ColourWorker, owner: User) -> None:
    shown = browser(owner).get(url("collections")).content.decode()
    assert "Pictures by Twitter, CC-BY-4.0" in shown and "Make a demo collection" in shown
    answer = browser(owner).post(url("demo"), {"deployment": "colours", "sources": ["emoji", "photos"]})
    collection = Collection.objects.get()
    assert answer["Location"] == url("manage", collection.pk)
    seer.drain()
    assert set(collection.pictures.values_list("name", flat=True)) == {
        "red circle.png", "blue.png", "cat.png", "grass.png",
    }  # fmt: skip
    query = Query(parts=(Part("words", "red"),), cut=0.5)
    found = searching.Search(collection=collection, query=query, user=owner).page().hits
    assert [hit.picture.name for hit in found] == ["red circle.png"]
    assert "Twitter, CC-BY-4.0" in collection.about and "cat, Stefan van der Walt, CC0" in collection.about
    assert "cat, Stefan van der Walt, CC0" in browser(owner).get(url("page", collection.pk)).content.decode()
    demo.fill(collection=collection, keys=["emoji", "photos"])
    seer.drain()
    assert Picture.objects.count() == 4
    assert {uploads.figures(one)["failed"] for one in collection.uploads.all()} == {0}


def test_what_is_missing_is_named_and_cannot_be_chosen(seer: ColourWorker, owner: User, data: Path) -> None:
    (data / "emoji" / "emoji-datasource-twitter-16.0.0.tgz").unlink()
    shown = browser(owner).get(url("collections")).content.decode()
    assert "npm pack emoji-datasource-twitter@16.0.0" in shown
    assert "DATA_DIR/emoji/emoji-datasource-twitter-16.0.0.tgz" in shown
    assert str(data) not in shown  # where it lies on this machine is nobody's business
    for chosen in ([], ["emoji"], ["else"]):
        answer = browser(owner).post(url("demo"), {"deployment": "colours", "sources": chosen}, follow=True)
        assert "choose what is there" in answer.content.decode()
    assert not Collection.objects.exists()


def test_who_has_collections_is_offered_none(filled: Collection, owner: User) -> None:
    assert "Make a demo collection" not in browser(owner).get(url("collections")).content.decode()
