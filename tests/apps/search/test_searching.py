"""What is found, in which order, by whom."""

from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict

from apps.accounts.models import Membership, Team, User
from apps.search import asking, collections, embedding, indexes, pictures, query, searching, uploads, vectors
from apps.search.models import CatalogueText, Collection, Index, Pending, Picture, QueryPicture, UploadItem
from apps.search.query import BadQuery
from tests.apps.search.conftest import COLOURS, ColourWorker, colour_version, fill, png

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def search(collection: Collection, text: str, user: Any = None, **more: Any) -> searching.Search:
    return searching.Search(
        collection=collection, query=query.read(QueryDict(text)), user=user or collection.owner, **more
    )


def names(collection: Collection, text: str, **more: Any) -> list[str]:
    return [hit.picture.name for hit in search(collection, text, **more).page().hits]


def picture(name: str) -> Picture:
    return Picture.objects.get(name=name)


def test_words_find_pictures_above_the_cut(filled: Collection) -> None:
    found = search(filled, "q=red").page()
    assert [(hit.picture.name, round(hit.score or 0, 1)) for hit in found.hits] == [("red.png", 1.0), ("both.png", 0.7)]
    assert found.is_cut and found.cut is not None and 0 < found.cut < 0.7
    assert names(filled, "q=red&cut=0.9") == ["red.png"]
    assert len(names(filled, "q=red&cut=-1")) == 9


def test_where_nothing_is_above_the_cut_the_nearest_are_told_apart(filled: Collection) -> None:
    found = search(filled, "q=red&cut=1").page()
    assert (found.hits, found.following, found.is_cut) == ([], "", True)
    assert [hit.picture.name for hit in found.nearest][:2] == ["red.png", "both.png"] and len(found.nearest) == 4
    assert search(filled, "q=red").page().nearest == () == search(filled, "q=red&cut=1&order=newest").page().nearest


def test_where_few_pass_a_filter_all_of_them_are_compared(filled: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph alone, looking at one neighbour, would not come by them."""

    def narrow(cursor: Any, most: int) -> None:
        cursor.execute(
            "SET LOCAL hnsw.ef_search = 1; SET LOCAL hnsw.iterative_scan = off; "
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off"
        )

    monkeypatch.setattr(vectors, "prepare", narrow)
    pictures.describe(picture=picture("blue.png"), tags=["sale"])
    assert names(filled, "q=red&cut=-1&tag=sale") == ["blue.png"]
    monkeypatch.setattr(searching, "_FEW", -1)
    assert names(filled, "q=red&cut=-1&tag=sale") == []


def test_parts_add_up_and_minus_takes_away(filled: Collection) -> None:
    assert names(filled, "q=red+blue&cut=0.5")[0] == "both.png"
    assert names(filled, "q=red+blue+-blue&cut=0.5") == ["red.png", "both.png"]
    both = picture("both.png").pk
    assert names(filled, f"part=picture:1:{both}&minus=blue")[:2] == ["red.png", "both.png"]
    assert names(filled, f"part=picture:1:{both}&part=words:-0.9:红&cut=0.3")[0] == "blue.png"
    red = picture("red.png").pk
    assert names(filled, f"part=picture:0.4:{red}&part=words:1:blue")[:3] == ["blue.png", "both.png", "red.png"]


def test_a_crop_is_searched_with(filled: Collection) -> None:
    both = picture("both.png").pk
    assert names(filled, f"part=picture@0.5,0,1,1:1:{both}")[0] == "blue.png"


def test_a_picture_that_is_sent_is_searched_with(filled: Collection, owner: User, stranger: User) -> None:
    sent = QueryPicture.objects.create(owner=owner, name="q.png", file=SimpleUploadedFile("q.png", png("green")))
    uploads.look(query=sent)
    assert names(filled, f"part=sent:1:{sent.pk}") == ["green.png"]
    theirs = QueryPicture.objects.create(owner=stranger, name="q.png", thumbnail=sent.thumbnail)
    with pytest.raises(BadQuery, match="not kept any more"):
        names(filled, f"part=sent:1:{theirs.pk}")


def test_a_query_picture_that_is_none_says_so(owner: User) -> None:
    sent = QueryPicture.objects.create(owner=owner, name="q.png", file=SimpleUploadedFile("q.png", b"nothing"))
    uploads.look(query=sent)
    assert (sent.is_ready, sent.error[:26]) == (False, "The file is no picture tha")


def test_filters_hold(filled: Collection) -> None:
    pictures.describe(picture=picture("red.png"), tags=["sale", "summer"])
    Picture.objects.filter(name="both.png").update(taken_at="2020-05-05T12:00Z", kind="jpeg", width=2000, height=1500)
    assert names(filled, "q=red&tag=sale") == ["red.png"]
    assert names(filled, "q=red&kind=jpeg") == ["both.png"]
    assert names(filled, "q=red&until=2020-05-05") == ["both.png"]
    assert names(filled, "q=red&since=2020-05-06") == ["red.png"]
    assert names(filled, "q=red&smallest=1000") == ["both.png"]
    assert names(filled, "q=red&name=BOTH") == ["both.png"]
    assert names(filled, "tag=summer") == ["red.png"]
    assert names(filled, "q=red&order=oldest") == ["both.png", "red.png"]
    assert names(filled, "q=red&order=newest") == ["red.png", "both.png"]


@pytest.mark.parametrize("text", ["q=red&cut=-1", "", "order=oldest", "q=red&cut=-1&order=newest"])
def test_pages_follow_each_other_without_gaps(filled: Collection, text: str) -> None:
    whole = [hit.picture.name for hit in search(filled, text).page(most=100).hits]
    found, cursor = [], ""
    for _ in range(10):
        page = search(filled, text).page(cursor, most=2)
        found += [hit.picture.name for hit in page.hits]
        cursor = page.following
        if not cursor:
            break
    assert found == whole and len(found) == 9


def test_the_next_page_asks_no_model(filled: Collection, seer: ColourWorker) -> None:
    names(filled, "q=red")
    seen = len(seer.engine.seen)
    search(filled, "q=red&cut=-1").page(most=2)
    assert len(seer.engine.seen) == seen


def test_similar_pictures_leave_out_the_picture_itself(filled: Collection, owner: User) -> None:
    found = searching.similar(picture("both.png"), owner, most=2)
    assert {hit.picture.name for hit in found} == {"red.png", "blue.png"}


def test_only_who_may_see_finds_in_the_same_statement(
    filled: Collection, owner: User, member: User, stranger: User
) -> None:
    team = Team.objects.create(name="Ours")
    for one in (owner, member):
        Membership.objects.create(team=team, user=one)
    assert names(filled, "q=red", user=member) == []
    collections.change(collection=filled, team=team)
    assert names(filled, "q=red", user=member) == ["red.png", "both.png"] == names(filled, "q=red")
    assert names(filled, "q=red", user=stranger) == [] == names(filled, "", user=stranger)


def test_several_collections_are_searched_at_once(
    filled: Collection, seer: ColourWorker, owner: User, stranger: User
) -> None:
    mine = collections.create(owner=owner, name="More", deployment="colours")
    theirs = collections.create(owner=stranger, name="Theirs", deployment="colours")
    fill(mine, seer, {"rose.png": png("red", size=(30, 30))})
    fill(theirs, seer, {"hidden.png": png("red", size=(31, 31))})
    both = f"q=red&in={mine.pk}&in={theirs.pk}"
    assert set(names(filled, both)) == {"red.png", "both.png", "rose.png"}
    assert len(names(filled, f"in={mine.pk}")) == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part=words", "part: is not kind:weight:value"),
        ("part=words:9:a", "part: its weight is between -2 and 2"),
        ("part=picture:1:no", "part: is the id of none"),
        ("part=picture:1:0b7e8a9c-5a3e-4a5e-8f44-0d9f3f1e2d3c", "part: there is no picture"),
        ("part=picture@1,0,0,1:1:0b7e8a9c-5a3e-4a5e-8f44-0d9f3f1e2d3c", "part: the crop is left"),
        ("cut=2", "cut: is between -1 and 1"),
        ("cut=nan", "cut: is between -1 and 1"),
        ("since=yesterday", "since: is a date like"),
        ("kind=exe", "kind: exe is not known"),
        ("order=random", "order: is one of"),
        ("q=red&part=words:-1:red", "part: the parts cancel each other out"),
        ("&".join(f"part=words:1:w{n}" for n in range(9)), "part: at most 8 parts"),
    ],
)
def test_what_is_no_query_is_told(filled: Collection, text: str, message: str) -> None:
    with pytest.raises(BadQuery, match=message):
        names(filled, text)


def test_a_bad_cursor_is_told(filled: Collection) -> None:
    for cursor in ("x", "WzFd", "bnVsbA"):
        with pytest.raises(BadQuery, match="cursor"):
            search(filled, "q=red").page(cursor)


def test_a_query_is_written_as_it_was_read() -> None:
    text = "q=canvas+bag+-leather&part=picture@0.1,0.2,0.5,1:0.6:0b7e8a9c-5a3e-4a5e-8f44-0d9f3f1e2d3c&tag=sale&cut=0.2"
    first = query.read(QueryDict(text))
    assert query.read(QueryDict(first.written())) == first
    assert (first.words, [part.weight for part in first.parts]) == ("canvas bag", [1.0, -0.6, 0.6])
    assert query.read(QueryDict("q=t-shirt 3 -5")).words == "t-shirt 3 -5"


def test_texts_and_labels_that_fit(filled: Collection, seer: ColourWorker, owner: User) -> None:
    rows = [CatalogueText(collection=filled, code=str(n), text=f"{one} bag") for n, one in enumerate(COLOURS)]
    CatalogueText.objects.bulk_create(rows)
    indexes.expect_texts(filled, rows)
    embedding.feed(index=filled.indexes.get())
    seer.drain()
    found = searching.fitting_texts(picture("both.png"), most=2)
    assert {text.text for text, _ in found} == {"red bag", "blue bag"}
    labels = searching.fitting_labels(picture("red.png"), ["green", "red", "blue"], owner)
    assert labels[0][0] == "red" and labels[0][1] > 0.99
    assert sum(share for _, share, _ in labels) == pytest.approx(1)


# -- indexes ---------------------------------------------------------------------------------------


def test_recall_is_measured_against_all(collection: Collection, seer: ColourWorker) -> None:
    index = collection.indexes.get()
    made = [
        Picture(
            id=f"{n:032x}", collection=collection, sha256=f"{n:064x}", phash=0, colour=0, name=f"{n}", kind="png",
            width=1, height=1, bytes=1, file="", thumbnail="", held_as=f"t{n}",
        )
        for n in range(400)
    ]  # fmt: skip
    Picture.objects.bulk_create(made)
    rows = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors.store(index, [(one.pk, row) for one, row in zip(made, rows, strict=True)])
    assert (indexes.measure_recall(index=index) or 0) > 0.97
    index.refresh_from_db()
    assert index.recall_at is not None and (index.recall_ms or 0) > 0
    exact = np.argsort(-(rows @ rows[0]))[:10]
    found = vectors.nearest(index, rows[0], 10, is_exact=True)
    assert {int(one) for one in found} == set(exact.tolist())


def other_model(seer: ColourWorker) -> None:
    from apps.serving import deployments, reconcile

    deployments.create_deployment(actor=None, name="colours-2", version=colour_version(2))
    reconcile.reconcile()
    seer.follow()
    reconcile.reconcile()


def test_switching_models_embeds_behind_the_scenes_and_swaps(filled: Collection, seer: ColourWorker) -> None:
    other_model(seer)
    old = filled.indexes.get()
    seer.engine.gate.clear()
    new = indexes.switch(collection=filled, deployment="colours-2")
    assert (new.state, new.pending.count()) == ("building", 9)
    assert indexes.serving_index(filled) == old
    # What comes meanwhile goes into both, and the old one finds it.
    seer.engine.gate.set()
    fill(filled, seer, {"late.png": png("red", size=(44, 22))})
    assert [index.pk for index in filled.indexes.all()] == [new.pk]
    new.refresh_from_db()
    assert (new.state, vectors.count(new), Pending.objects.count()) == ("serving", 10, 0)
    assert set(names(filled, "q=red")) == {"red.png", "both.png", "late.png"}
    assert set(UploadItem.objects.values_list("state", flat=True)) == {"done"}
    with pytest.raises(ValueError, match="model: is the one that serves"):
        indexes.switch(collection=filled, deployment="colours-2")


def test_what_the_new_model_cannot_read_is_listed_and_the_rest_swaps(filled: Collection, seer: ColourWorker) -> None:
    other_model(seer)
    seer.engine.refuses_purple = True
    new = indexes.switch(collection=filled, deployment="colours-2")
    seer.drain()
    new.refresh_from_db()
    assert new.state == "serving"
    assert [(one.picture.name, one.error) for one in new.pending.all()] == [("purple.png", "is purple")]
    seer.engine.refuses_purple = False
    assert embedding.retry_failed(index=new) == 1
    seer.drain()
    assert (vectors.count(new), new.pending.count()) == (9, 0)


def test_a_deployment_with_another_version_is_not_asked(filled: Collection, seer: ColourWorker) -> None:
    """Vectors of two models do not compare: better no answer than a wrong one."""
    from apps.serving.models import Revision

    other = colour_version(3)
    Revision.objects.update(version=other)
    with pytest.raises(embedding.WrongVersion, match="serves another version"):
        names(filled, "q=something+new")
    index = Index.objects.get(collection=filled)
    assert asking.texts is not None and index.version_id != other.pk
