"""The pages: one text with its reasons, files, and who may see what."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User
from apps.classify.explaining import reach_of
from apps.classify.models import Batch, Chunk
from tests.apps.classify.conftest import LabelWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_without_a_classifier_the_page_says_what_to_do(owner: User) -> None:
    assert "No classifier is deployed" in browser(owner).get("/classify/").content.decode()


def test_one_text_is_sent_and_its_answer_drawn(owner: User, labeller: LabelWorker) -> None:
    person = browser(owner)
    page = person.post("/classify/run/", {"deployment": "mood", "text": "so good <b>", "explain": "1"})
    [sent] = labeller.sent
    assert f'data-request-id="{sent.request_id}"' in page.content.decode()
    assert sent.inputs == {"texts": ["so good <b>"], "explain": True}
    labeller.wait()
    answer = person.get(f"/classify/results/{sent.request_id}/").content.decode()
    assert "75 %" in answer
    assert 'data-shade="for-5" title="+2.00">so </span>' in answer
    assert 'data-shade="against-2" title="-1.00">ood ' in answer
    assert "<b>" not in answer.split("classify__why")[1].split("</p>")[0]
    assert "2 ms" in answer  # of the queue, less the time to tokenise


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"deployment": "mood", "text": " "}, 422),
        ({"deployment": "mood"}, 422),
        ({"deployment": "none", "text": "good"}, 404),
    ],
)
def test_what_cannot_be_sent_is_explained(
    owner: User, labeller: LabelWorker, data: dict[str, str], status: int
) -> None:
    answer = browser(owner).post("/classify/run/", data)
    assert answer.status_code == status
    assert answer["HX-Retarget"] == "#refusal"
    assert not labeller.sent


def test_a_refused_text_says_why(owner: User, labeller: LabelWorker) -> None:
    labeller.engine.fail_with = {
        "type": "context_length_exceeded", "message": "long", "prompt_tokens": 900, "context_length": 512,
    }  # fmt: skip
    person = browser(owner)
    person.post("/classify/run/", {"deployment": "mood", "text": "good"})
    labeller.wait()
    answer = person.get(f"/classify/results/{labeller.sent[0].request_id}/").content.decode()
    assert "It has 900 tokens; this model reads at most 512." in answer


def test_reach_is_drawn_in_runs() -> None:
    said = {
        "window": 8,
        "levels": 2,
        "tokens": 40,
        "keys": 10.0,
        "shape": [1, 2],
        "reach": [[[0, 0, 2, 2], [1, 1, 1, 1]]],
    }
    reach = reach_of(said)
    assert reach is not None
    assert [strip.runs for _, strips in reach.layers for strip in strips] == [
        [("0.00", "50.00", "0.06"), ("50.00", "50.00", "1.00")],
        [("0.00", "100.00", "0.53")],
    ]
    assert reach.share == 0.25
    assert reach_of(None) is None


def make_batch(owner: User, **fields: Any) -> Batch:
    values = {"deployment": "mood", "file_name": "reviews.csv", "status": "done", "total": 2, "done": 2}
    batch = Batch.objects.create(owner=owner, **{**values, "counts": {"good": 1, "bad": 1}, **fields})
    results = [[["good", 0.75], ["bad", 0.25]], [["bad", 0.9], ["good", 0.1]]]
    rows = [[1, "=good", "good"], [2, "poor", ""]]
    Chunk.objects.create(batch=batch, number=0, rows=rows, results=results, status="done")
    return batch


def test_a_file_is_taken_and_leads_to_its_page(owner: User, labeller: LabelWorker) -> None:
    upload = SimpleUploadedFile("reviews.csv", b"text\ngood\n")
    answer = browser(owner).post("/classify/files/", {"deployment": "mood", "file": upload})
    batch = Batch.objects.get()
    assert answer["Location"] == f"/classify/files/{batch.pk}/"
    assert (batch.owner, batch.file_name, batch.status) == (owner, "reviews.csv", "reading")


@pytest.mark.parametrize("name", ["reviews.exe", "reviews"])
def test_a_file_of_another_kind_is_refused(owner: User, labeller: LabelWorker, name: str) -> None:
    upload = SimpleUploadedFile(name, b"text\ngood\n")
    answer = browser(owner).post("/classify/files/", {"deployment": "mood", "file": upload})
    assert answer.status_code == 422
    assert not Batch.objects.exists()


def test_classes_as_csv_run_nothing_and_as_json_lines(owner: User) -> None:
    batch = make_batch(owner)
    answer = browser(owner).get(f"/classify/files/{batch.pk}/download/csv/")
    rows = list(csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))
    assert rows == [
        ["row", "text", "class", "score", "bad", "good", "right", "error"],
        ["1", "'=good", "good", "0.75", "0.25", "0.75", "good", ""],
        ["2", "poor", "bad", "0.9", "0.9", "0.1", "", ""],
    ]
    assert answer["Content-Disposition"] == 'attachment; filename="reviews-classes.csv"'
    lines = b"".join(browser(owner).get(f"/classify/files/{batch.pk}/download/jsonl/")).decode().splitlines()
    assert json.loads(lines[1]) == {
        "row": 2, "text": "poor", "label": "bad", "score": 0.9, "scores": {"bad": 0.9, "good": 0.1},
    }  # fmt: skip
    assert browser(owner).get(f"/classify/files/{batch.pk}/download/xlsx/").status_code == 404


@pytest.mark.parametrize("address", ["", "live/", "download/csv/", "cancel/", "delete/"])
def test_a_file_is_its_owners_alone(owner: User, member: User, stranger: User, address: str) -> None:
    batch = make_batch(owner)
    for somebody in (member, stranger):
        ask = browser(somebody).post if address in {"cancel/", "delete/"} else browser(somebody).get
        assert ask(f"/classify/files/{batch.pk}/{address}").status_code == 404
    assert Batch.objects.filter(pk=batch.pk).exists()


def test_an_answer_is_its_owners_alone(owner: User, member: User, stranger: User, labeller: LabelWorker) -> None:
    browser(owner).post("/classify/run/", {"deployment": "mood", "text": "good"})
    labeller.wait()
    address = f"/classify/results/{labeller.sent[0].request_id}/"
    assert [browser(who).get(address).status_code for who in (owner, member, stranger)] == [200, 404, 404]
    assert browser(owner).get("/classify/results/none/").status_code == 404


def test_deleting_takes_texts_and_classes(owner: User) -> None:
    batch = make_batch(owner)
    assert browser(owner).post(f"/classify/files/{batch.pk}/delete/").status_code == 302
    assert not Chunk.objects.exists()


@pytest.mark.parametrize("count", [1, 30])
def test_the_page_asks_the_same_for_one_file_as_for_thirty(
    owner: User, labeller: LabelWorker, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        make_batch(owner)
    person = browser(owner)
    person.get("/classify/")
    with django_assert_num_queries(4):  # user, files, open incidents, notices
        person.get("/classify/")
