"""Classification of files over the API, and what it counts for."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts import keys
from apps.accounts.keys import create_api_key
from apps.accounts.models import APIKey, Role, User
from apps.classify import batches
from apps.classify.models import Batch
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import set_limit
from tests.apps.api.native.asking import Caller, caller
from tests.apps.classify.conftest import LabelWorker, labeller  # noqa: F401  fixture
from tests.apps.classify.test_batches import drive, media, unread  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unread", "labeller")]
TEXTS = b"text,label\ngood one,good\npoor one,good\n"


def send(me: Caller, content: bytes = TEXTS, name: str = "texts.csv", **values: str) -> tuple[int, Any]:
    body = {"model": "mood", "file": SimpleUploadedFile(name, content), **values}
    answer = Client().post("/api/v1/classify/files", body, headers=me.headers)
    return answer.status_code, answer.json()


def held(owner: User) -> float:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW, amount=10**9,
              actor=None)  # fmt: skip
    return limits_with_use(Scope.USER, str(owner.pk))[0].used


def test_a_file_from_its_beginning_to_its_end(owner: User, labeller: LabelWorker) -> None:  # noqa: F811
    me = caller(owner)
    status, made = send(me)
    assert (status, made["status"], made["model"], made["file_name"]) == (201, "reading", "mood", "texts.csv")
    path = f"/classify/files/{made['id']}"
    batches.read(batch=Batch.objects.get())
    drive(labeller, Batch.objects.get())
    done = me.ask("get", path)[1]
    assert (done["status"], done["counts"], done["agreement"]) == ("done", {"good": 1, "bad": 1}, 0.5)
    assert me.ask("get", "/classify/files")[1]["data"] == [done]
    assert me.ask("post", f"{path}/cancel")[0] == 409
    lines = [Client().get(f"/api/v1{path}/results/{kind}", headers=me.headers) for kind in ("csv", "jsonl", "pdf")]
    assert [line.status_code for line in lines] == [200, 200, 404]
    assert b'"label": "good"' in b"".join(lines[1])
    assert held(owner) == len(TEXTS)
    assert me.ask("delete", path) == (204, None)
    assert (held(owner), Batch.objects.count()) == (0, 0)


def test_it_is_nobody_elses(owner: User, stranger: User) -> None:
    """Not even an administrator's."""
    path = f"/classify/files/{send(caller(owner))[1]['id']}"
    admin = User.objects.create_superuser("boss@example.com")
    acts = [("get", ""), ("post", "/cancel"), ("get", "/results/csv"), ("delete", "")]
    for one in (caller(stranger), caller(admin)):
        assert [one.ask(method, path + what)[0] for method, what in acts] == [404] * 4
        assert one.ask("get", "/classify/files")[1]["data"] == []


def test_what_cannot_be_classified_is_told(owner: User) -> None:
    me = caller(owner)
    assert send(me, name="texts.pdf")[0] == 400
    assert send(me, model="gone")[0] == 404
    assert send(caller(owner, deployments=["other"]))[0] == 404
    assert not LedgerEntry.objects.exists()


def test_viewers_send_nothing(owner: User) -> None:
    me = caller(owner)
    User.objects.filter(pk=owner.pk).update(role=Role.VIEWER)
    keys._known.clear()
    assert send(me)[1]["error"]["code"] == "viewer"


def test_stored_bytes_are_refused_and_come_back(owner: User, settings: Any) -> None:
    me = caller(owner)
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW,
              amount=len(TEXTS) + 3, actor=None)  # fmt: skip
    first = send(me)[1]
    status, refused = send(me)
    assert (status, refused["error"]["type"], refused["error"]["metric"]) == (429, "quota_exceeded", "stored_bytes")
    assert (Batch.objects.count(), len(list(Path(settings.MEDIA_ROOT).rglob("*.csv")))) == (1, 1)
    page = Client()
    page.force_login(owner)
    upload = {"deployment": "mood", "file": SimpleUploadedFile("texts.csv", TEXTS)}
    assert page.post("/classify/files/", upload).status_code == 429
    me.ask("delete", f"/classify/files/{first['id']}")
    assert not list(Path(settings.MEDIA_ROOT).rglob("*.csv"))
    assert send(me)[0] == 201


def test_what_a_failed_start_held_is_given_back(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_keep", lambda *_: 1 / 0)
        assert send(caller(owner))[0] == 500
    assert (held(owner), LedgerEntry.objects.count()) == (0, 0)


def test_texts_of_a_file_count_for_the_key(owner: User, labeller: LabelWorker) -> None:  # noqa: F811
    """The key's limits hold for what it sends later as well."""
    me = caller(owner)
    key = APIKey.objects.get()
    set_limit(scope=Scope.KEY, subject=str(key.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=0, actor=None)
    send(me)
    batch = Batch.objects.get()
    batches.read(batch=batch)
    batch.refresh_from_db()
    assert labeller.sent == []
    assert "requests a day" in batch.problem
    assert LedgerEntry.objects.get().key_id == key.pk


def test_bytes_go_with_their_owner(owner: User) -> None:
    _, secret = create_api_key(owner=owner, name="k")
    send(Caller({"Authorization": f"Bearer {secret}"}))
    owner.delete()
    assert sorted(LedgerEntry.objects.values_list("stored_bytes", flat=True)) == [-len(TEXTS), len(TEXTS)]
