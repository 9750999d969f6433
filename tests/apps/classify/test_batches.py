"""Files to classes: everything classified once, refusals told, nothing lost."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.accounts.models import User
from apps.classify import batches, queries
from apps.classify.models import Batch, Chunk
from apps.serving.connection import client
from tests.apps.classify.conftest import LabelWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message that asks for a file to be read does not arrive."""
    monkeypatch.setattr(batches, "_send_read", lambda batch: None)


def start(owner: User, content: str, name: str = "texts.csv") -> Batch:
    upload = SimpleUploadedFile(name, content.encode())
    return batches.start(owner=owner, deployment="mood", upload=upload)


def all_rows(batch: Batch) -> list[dict[str, Any]]:
    rows, number = queries.next_rows(batch, -1)
    found = list(rows)
    while rows:
        rows, number = queries.next_rows(batch, number)
        found += rows
    return found


def drive(worker: LabelWorker, batch: Batch, rounds: int = 50) -> Batch:
    """Answer and settle until nothing is sent any more."""
    for _ in range(rounds):
        if not worker.sent:
            break
        sent = list(worker.sent)
        worker.sent.clear()
        worker.wait()
        for request in sent:
            worker.settle(request.request_id)
    batch.refresh_from_db()
    return batch


@pytest.mark.usefixtures("unread")
def test_a_file_is_classified_whole_and_compared_with_its_own_labels(owner: User, labeller: LabelWorker) -> None:
    rows = [f"good {n},good" for n in range(70)] + [f"poor {n},good" for n in range(30)] + [",bad"]
    batch = start(owner, "text,label\n" + "\n".join(rows))
    batches.read(batch=batch)
    assert max(len(request.inputs["texts"]) for request in labeller.sent) == batches.CHUNK_ROWS
    drive(labeller, batch)
    assert (batch.status, batch.total, batch.done, batch.failed) == ("done", 100, 100, 0)
    assert batch.counts == {"good": 70, "bad": 30}
    assert batch.agreement == 0.7
    assert batch.skipped == [[101, "empty"]]
    assert not batch.upload
    rows_of = all_rows(batch)
    assert [row["row"] for row in rows_of] == list(range(1, 101))
    assert rows_of[0] == {
        "row": 1, "text": "good 0", "right": "good", "label": "good", "score": 0.75,
        "scores": {"good": 0.75, "bad": 0.25}, "error": "",
    }  # fmt: skip


@pytest.mark.usefixtures("unread")
def test_only_a_few_chunks_are_with_the_workers_at_a_time(owner: User, labeller: LabelWorker) -> None:
    labeller.engine.gate.clear()
    batch = start(owner, "\n".join(["good"] * 32 * 10), "a.txt")
    batches.read(batch=batch)
    batches.sweep()
    assert len(labeller.sent) == batches.IN_FLIGHT
    labeller.engine.gate.set()
    assert drive(labeller, batch).done == 320


@pytest.mark.usefixtures("unread")
def test_a_row_that_the_model_refuses_is_named_and_the_others_are_classified(
    owner: User, labeller: LabelWorker
) -> None:
    batch = start(owner, "good\nrefuse this\nbad\nrefuse that\n", "a.txt")
    batches.read(batch=batch)
    drive(labeller, batch)
    assert (batch.status, batch.done, batch.failed) == ("done", 4, 2)
    assert [(row["label"], row["error"]) for row in all_rows(batch)] == [
        ("good", ""), ("", "too long"), ("bad", ""), ("", "too long"),
    ]  # fmt: skip


@pytest.mark.usefixtures("unread")
def test_a_model_that_fails_is_tried_again_but_not_for_ever(owner: User, labeller: LabelWorker) -> None:
    labeller.engine.fail_with = {"type": "internal", "message": "broken"}
    batch = start(owner, "good\n", "a.txt")
    batches.read(batch=batch)
    drive(labeller, batch)
    assert (batch.status, batch.failed) == ("done", 1)
    assert len(labeller.engine.seen) == 3


@pytest.mark.usefixtures("unread")
def test_settling_twice_counts_once(owner: User, labeller: LabelWorker) -> None:
    batch = start(owner, "good\nbad\n", "a.txt")
    batches.read(batch=batch)
    [request] = labeller.sent
    labeller.wait()
    for _ in range(2):
        labeller.settle(request.request_id)
        batches.take_in(request_id=request.request_id, transcript=_transcript(request.request_id))
    batch.refresh_from_db()
    assert (batch.done, batch.counts) == (2, {"good": 1, "bad": 1})


def _transcript(request_id: str) -> Any:
    from apps.serving import requests

    return requests.transcript(request_id)


@pytest.mark.usefixtures("unread")
def test_a_request_that_redis_lost_is_sent_again(owner: User, labeller: LabelWorker) -> None:
    labeller.engine.gate.clear()
    batch = start(owner, "good\n", "a.txt")
    batches.read(batch=batch)
    lost = Chunk.objects.get()
    client().delete(f"request:{{{lost.request_id}}}")
    Chunk.objects.update(sent_at=timezone.now() - 2 * batches._LOST_AFTER)
    batches.sweep()
    labeller.engine.gate.set()
    assert Chunk.objects.get().request_id != lost.request_id
    assert drive(labeller, batch).done == 1


@pytest.mark.usefixtures("unread")
def test_a_file_whose_message_was_lost_is_read_by_the_sweep(owner: User, labeller: LabelWorker) -> None:
    batch = start(owner, "good\n", "a.txt")
    batches.sweep()
    assert Batch.objects.get().status == "reading"
    Batch.objects.update(created_at=timezone.now() - 2 * batches._LOST_AFTER)
    batches.sweep()
    assert drive(labeller, batch).status == "done"


@pytest.mark.usefixtures("unread")
def test_while_no_worker_is_ready_it_waits_and_says_so(owner: User, labeller: LabelWorker) -> None:
    batch = start(owner, "good\n", "a.txt")
    labeller.lose_lease()
    batches.read(batch=batch)
    batch.refresh_from_db()
    assert (batch.status, bool(batch.problem), labeller.sent) == ("running", True, [])
    labeller.start()
    batches.sweep()
    drive(labeller, batch)
    assert (batch.status, batch.problem) == ("done", "")


@pytest.mark.usefixtures("unread")
def test_a_file_that_cannot_be_read_says_why(owner: User, labeller: LabelWorker) -> None:
    batch = start(owner, "{nonsense", "a.jsonl")
    batches.read(batch=batch)
    batch.refresh_from_db()
    assert batch.status == "failed"
    assert "Line 1 is not JSON" in batch.problem


@pytest.mark.usefixtures("unread")
def test_cancelling_keeps_what_is_classified(owner: User, labeller: LabelWorker) -> None:
    batch = start(owner, "\n".join(["good"] * 320), "a.txt")
    batches.read(batch=batch)
    labeller.wait()
    for request in list(labeller.sent)[:1]:
        labeller.settle(request.request_id)
    assert batches.cancel(batch=batch)
    assert not batches.cancel(batch=batch)
    drive(labeller, batch)
    assert batch.status == "cancelled"
    assert 32 <= batch.done < 320
