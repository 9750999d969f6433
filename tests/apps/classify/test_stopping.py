"""A file whose sender may not send any more stops, says why, keeps what is done, and is gone on with."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.accounts import keys
from apps.accounts.models import APIKey, Role, User
from apps.accounts.services import deactivate, reactivate
from apps.classify import batches
from apps.classify.models import Batch
from apps.quotas.models import LedgerEntry
from tests.apps.api.native.asking import caller
from tests.apps.classify.conftest import LabelWorker
from tests.apps.classify.test_batches import all_rows, drive, media, unread  # noqa: F401  fixtures

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unread")]
CHUNKS = 7
ROWS = CHUNKS * batches.CHUNK_ROWS
NOT_ALLOWED = "Its owner was not allowed to send when it was to go on. Ask an administrator, then go on with it."


def make_key(owner: User, **values: Any) -> APIKey:
    return keys.create_api_key(owner=owner, name="nightly", **values)[0]


def running(owner: User, key: APIKey | None = None) -> Batch:
    """Four of its seven chunks are with the worker, which has answered them; nobody has taken the answers in."""
    upload = SimpleUploadedFile("a.txt", "\n".join(["good"] * ROWS).encode())
    batch = batches.start(owner=owner, deployment="mood", upload=upload, key=key)
    batches.read(batch=batch)
    return batch


def told(key: APIKey) -> str:
    return (
        f"The API key {key.prefix}…, by which this file was sent, has ended. "
        "Go on with it on its page, or by another key."
    )


def revoke(key: APIKey) -> None:
    keys.revoke_api_key(key=key)


def expire(key: APIKey) -> None:
    APIKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("end", [revoke, expire])
def test_a_file_stops_when_its_key_has_ended(owner: User, labeller: LabelWorker, end: Any) -> None:
    key = make_key(owner)
    batch = running(owner, key)
    end(key)
    drive(labeller, batch)
    assert (batch.status, batch.problem) == ("stopped", told(key))
    assert (batch.done, batch.ended_at is not None) == (batches.IN_FLIGHT * batches.CHUNK_ROWS, True)
    assert sum(row["label"] == "good" for row in all_rows(batch)) == batch.done
    batches.sweep()
    assert labeller.sent == []


def test_the_sweep_stops_what_waits(owner: User, labeller: LabelWorker) -> None:
    key = make_key(owner)
    upload = SimpleUploadedFile("a.txt", b"good\n")
    batch = batches.start(owner=owner, deployment="mood", upload=upload, key=key)
    labeller.lose_lease()
    batches.read(batch=batch)
    revoke(key)
    batches.sweep()
    batch.refresh_from_db()
    assert (batch.status, batch.problem, batch.done) == ("stopped", told(key), 0)


def test_a_file_stops_while_its_owner_is_locked_out(owner: User, labeller: LabelWorker) -> None:
    boss = User.objects.create_superuser("boss@example.com")
    batch = running(owner)
    deactivate(user=owner, actor=boss)
    drive(labeller, batch)
    assert (batch.status, batch.problem) == ("stopped", NOT_ALLOWED)
    reactivate(user=owner, actor=boss)
    assert batches.go_on(batch=batch)
    assert _whole(drive(labeller, batch))


def test_a_viewer_looks_at_the_file_and_cannot_go_on(owner: User, labeller: LabelWorker) -> None:
    batch = running(owner)
    User.objects.filter(pk=owner.pk).update(role=Role.VIEWER)
    drive(labeller, batch)
    assert (batch.status, batch.problem) == ("stopped", NOT_ALLOWED)
    address = f"/classify/files/{batch.pk}/"
    page = _browser(owner).get(address).content.decode()
    assert NOT_ALLOWED in page
    assert f"{address}continue/" not in page
    assert _browser(owner).post(f"{address}continue/").status_code == 403
    assert Batch.objects.get().status == "stopped"


def test_what_is_with_the_workers_at_the_end_is_all_the_same_done(owner: User, labeller: LabelWorker) -> None:
    """Nothing was left to send: there is nothing to go on with."""
    key = make_key(owner)
    upload = SimpleUploadedFile("a.txt", b"good\n")
    batch = batches.start(owner=owner, deployment="mood", upload=upload, key=key)
    batches.read(batch=batch)
    revoke(key)
    assert drive(labeller, batch).status == "done"


def test_its_owner_goes_on_with_it_on_the_page(
    owner: User, member: User, stranger: User, labeller: LabelWorker
) -> None:
    key = make_key(owner)
    batch = running(owner, key)
    revoke(key)
    drive(labeller, batch)
    address = f"/classify/files/{batch.pk}/"
    page = _browser(owner).get(address).content.decode()
    assert f'action="{address}continue/"' in page
    assert key.prefix in page
    others = [_browser(one).post(f"{address}continue/").status_code for one in (member, stranger)]
    assert others == [404, 404]
    assert _browser(owner).post(f"{address}continue/").headers["Location"] == address
    assert _whole(drive(labeller, batch))
    assert (batch.problem, batch.key) == ("", None)
    assert _texts_by_key() == {key.pk: 4, None: 3}


def test_another_key_goes_on_with_it(owner: User, stranger: User, labeller: LabelWorker) -> None:
    key = make_key(owner)
    batch = running(owner, key)
    address = f"/classify/files/{batch.pk}/continue"
    assert caller(owner).ask("post", address)[0] == 409
    revoke(key)
    drive(labeller, batch)
    assert caller(stranger).ask("post", address)[0] == 404
    assert caller(owner, scopes=["chat"]).ask("post", address)[0] == 403
    assert caller(owner, deployments=["other"]).ask("post", address)[1]["error"]["code"] == "model_not_found"
    assert Batch.objects.get().status == "stopped"
    status, answer = caller(owner, deployments=["mood"]).ask("post", address)
    assert (status, answer["status"], answer["problem"]) == (200, "running", "")
    assert _whole(drive(labeller, batch))
    assert _texts_by_key() == {key.pk: 4, batch.key_id: 3}


def _whole(batch: Batch) -> bool:
    return (batch.status, batch.done, batch.counts) == ("done", ROWS, {"good": ROWS})


def _browser(user: User) -> Client:
    browser = Client()
    browser.force_login(User.objects.get(pk=user.pk))
    return browser


def _texts_by_key() -> dict[Any, int]:
    """Requests in the ledger."""
    counted: dict[Any, int] = {}
    for entry in LedgerEntry.objects.filter(stored_bytes=0):
        counted[entry.key_id] = counted.get(entry.key_id, 0) + entry.requests
    return counted
