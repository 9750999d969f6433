"""Why a picture was found, the best few judged by a bridge, questions about a picture."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import Membership, Role, Team, User
from apps.registry.models import Model, ModelVersion
from apps.search import collections, explaining, searching
from apps.search.models import Collection, Picture, QueryPicture
from apps.search.query import Part, Query
from apps.serving import deployments, reconcile
from tests.apps.search.conftest import ColourWorker, png
from tests.apps.search.test_views import browser, url

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def bridge(filled: Collection) -> None:
    """The model has one from now on."""
    version = ModelVersion.objects.get()
    version.manifest["bridge"] = {"grid": 2}
    version.save()


@pytest.fixture
def answering(filled: Collection, seer: ColourWorker) -> str:
    """A deployment that answers questions."""
    model = Model.objects.create(name="asked", title="Asked", task=explaining.ANSWERING)
    version = ModelVersion.objects.create(model=model, number=1, artifact="a", digest="a" * 64, manifest={})
    deployments.create_deployment(actor=None, name="asked", version=version)
    reconcile.reconcile()
    seer.follow()
    reconcile.reconcile()
    return "asked"


def page(collection: Collection, query: Query) -> searching.Found:
    return searching.Search(collection=collection, query=query, user=collection.owner).page()


RED = Query(parts=(Part("words", "red blue"),), cut=-1.0)


def test_the_best_are_judged_by_the_bridge(filled: Collection, bridge: None, seer: ColourWorker) -> None:
    """By cosine `both` is best; the toy bridge prefers pictures of one colour."""
    plain = page(filled, Query(RED.parts, cut=-1.0, is_reranked=False))
    assert plain.hits[0].picture.name == "both.png" and plain.hits[0].match is None and not plain.rerank_ms
    found = page(filled, RED)
    assert {hit.picture.name for hit in found.hits} == {hit.picture.name for hit in plain.hits}
    assert found.hits[-1].picture.name == "both.png" and found.hits[-1].before == 1
    assert [hit.match for hit in found.hits] == sorted((hit.match for hit in found.hits), reverse=True)
    asked = len(seer.engine.seen)
    assert [hit.picture.pk for hit in page(filled, RED).hits] == [hit.picture.pk for hit in found.hits]
    assert len(seer.engine.seen) == asked  # remembered


def test_the_bridge_adds_to_what_the_vectors_say(
    filled: Collection, bridge: None, seer: ColourWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In logits, as it was trained: ten times the cosine here, and no bias."""
    plain = page(filled, Query(RED.parts, cut=-1.0, is_reranked=False))
    monkeypatch.setattr(searching.asking, "matches", lambda index, text, files, who: list(range(len(files))))
    found = page(filled, RED)
    wanted = {hit.picture.pk: 10 * hit.score + place for place, hit in enumerate(plain.hits)}
    assert {hit.picture.pk: hit.match for hit in found.hits} == pytest.approx(
        {pk: searching.asking.likelihood(logit) for pk, logit in wanted.items()}, abs=1e-4
    )


def test_a_bridge_that_fails_takes_nothing_away(filled: Collection, bridge: None, seer: ColourWorker) -> None:
    page(filled, Query(RED.parts, cut=-1.0, is_reranked=False))
    seer.engine.fail_with = {"type": "internal", "message": "broken"}
    found = page(filled, RED)
    assert (found.problem, found.hits[0].picture.name, found.rerank_ms) == ("broken", "both.png", 0.0)


def test_pictures_and_dates_are_not_reranked(filled: Collection, bridge: None, seer: ColourWorker) -> None:
    red = Picture.objects.get(name="red.png")
    page(filled, Query(parts=(Part("picture", str(red.pk)),), cut=-1.0))
    page(filled, Query(RED.parts, cut=-1.0, order="newest"))
    assert not [one for one in seer.engine.seen if {"images", "texts"} <= one.inputs.keys()]


def test_shares_of_the_parts_add_up_to_the_score(filled: Collection, owner: User) -> None:
    blue, both = Picture.objects.get(name="blue.png"), Picture.objects.get(name="both.png")
    query = Query(
        parts=(Part("words", "red"), Part("picture", str(blue.pk), 0.5), Part("words", "green", -0.6)), cut=-1
    )
    why = explaining.why(picture=both, query=query, user=owner)
    assert why is not None and why.looked is None
    shares = dict(why.parts)
    assert shares[query.parts[0]] > shares[query.parts[1]] > 0 and abs(shares[query.parts[2]]) < 0.01
    hit = next(hit for hit in page(filled, query).hits if hit.picture == both)
    assert why.score == pytest.approx(hit.score, abs=2e-3)
    assert explaining.why(picture=both, query=Query(), user=owner) is None


def test_words_say_what_they_add_and_where_they_looked(filled: Collection, bridge: None, owner: User) -> None:
    red = Picture.objects.get(name="red.png")
    why = explaining.why(picture=red, query=Query(parts=(Part("words", "large red"),)), user=owner)
    assert why is not None and why.looked is not None
    assert [(word.text, word.weight) for word in why.looked.words] == [("large", 0.0), ("red", 1.5)]
    assert why.looked.match == pytest.approx(0.993, abs=0.01)
    [first, *others] = why.looked.places
    assert (first.left, first.top, first.side, first.opacity) == (0, 0, 50, pytest.approx(0.56))
    assert [(place.left, place.top) for place in others] == [(50, 0), (0, 50), (50, 50)]


def test_the_panel_is_for_who_sees_the_picture(
    filled: Collection, bridge: None, owner: User, member: User, stranger: User
) -> None:
    team = Team.objects.create(name="Ours")
    for one in (owner, member):
        Membership.objects.create(team=team, user=one)
    collections.change(collection=filled, team=team)
    address = url("why", Picture.objects.get(name="red.png").pk) + "?part=words:1:red&part=words:-0.6:blue&before=3"
    assert [browser(who).get(address).status_code for who in (owner, member, stranger)] == [200, 200, 404]
    shown = browser(member).get(address).content.decode()
    assert "Place before reranking" in shown and shown.count("data-heat=") == 2 and "−" in shown
    User.objects.filter(pk=member.pk).update(role=Role.VIEWER)
    assert browser(member).get(address).status_code == 403


def test_the_page_says_that_it_was_reranked_and_how_to_do_without(
    filled: Collection, bridge: None, owner: User
) -> None:
    shown = browser(owner).get(url("page", filled.pk), {"q": "red"}).content.decode()
    assert "Reranked in" in shown and "data-rerank" in shown and "picture__match" in shown
    shown = browser(owner).get(url("page", filled.pk), {"q": "red", "rerank": "off"}).content.decode()
    assert "Reranked in" not in shown and "data-rerank" in shown and "picture__match" not in shown


def ask(who: User, **values: Any) -> Any:
    return browser(who).post(url("answer"), {"deployment": "asked", "question": "is it red", **values})


def test_a_question_is_answered_for_who_sees_the_picture(
    filled: Collection, answering: str, owner: User, stranger: User
) -> None:
    red = Picture.objects.get(name="red.png")
    shown = ask(owner, picture=red.pk).content.decode()
    assert "yes" in shown and "90 %" in shown and shown.count("data-heat=") == 4
    assert [ask(who, picture=red.pk).status_code for who in (owner, stranger)] == [200, 404]
    address = url("ask") + f"?picture={red.pk}"
    assert [browser(who).get(address).status_code for who in (owner, stranger)] == [200, 404]


def test_a_picture_that_was_sent_is_asked_about_by_its_sender(
    filled: Collection, answering: str, owner: User, stranger: User
) -> None:
    sent = browser(owner).post(url("send"), {"picture": SimpleUploadedFile("q.png", png("green"))}).json()
    assert [ask(who, sent=sent["id"]).status_code for who in (owner, stranger)] == [200, 404]
    QueryPicture.objects.update(thumbnail="")
    assert "Send it again" in ask(owner, sent=sent["id"]).content.decode()


def test_what_cannot_be_asked_is_said(filled: Collection, answering: str, owner: User, seer: ColourWorker) -> None:
    red = Picture.objects.get(name="red.png")
    assert "choose one first" in ask(owner).content.decode()
    assert ask(owner, picture=red.pk, question="").status_code == 422
    assert ask(owner, picture=red.pk, deployment="none").status_code == 404
    assert ask(owner, picture=uuid4()).status_code == 404
    seer.engine.fail_with = {"type": "internal", "message": "broken"}
    assert "broken" in ask(owner, picture=red.pk).content.decode()


def test_the_page_says_that_nothing_answers(filled: Collection, owner: User) -> None:
    assert "No model that answers is deployed" in browser(owner).get(url("ask")).content.decode()
