"""Bytes of models: reserved with an import, held with its version, given back when either goes."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import set_limit
from apps.quotas.sweep import sweep
from apps.registry.models import ModelVersion
from apps.registry.services import delete_version, start_import
from tests.apps.api.native.asking import caller
from tests.apps.registry.test_imports import artifact, places, settle, unsent, wish  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unsent")]


@pytest.fixture(autouse=True)
def source(places: Path, owner: Any) -> None:  # noqa: F811
    """Of 100 bytes; the artifact that is made of it has 4."""
    (places / "imports" / "tiny" / "weights").write_bytes(b"x" * 100)
    limit(owner, 150)


def limit(owner: Any, amount: int) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW, amount=amount,
              actor=None)  # fmt: skip


def held(owner: Any) -> float:
    return limits_with_use(Scope.USER, str(owner.pk))[0].used


def test_a_version_holds_its_bytes_until_it_is_deleted(owner: Any, places: Path) -> None:  # noqa: F811
    job = start_import(**wish(actor=owner))
    assert held(owner) == 100
    settle(job, artifact(places))
    assert held(owner) == 4
    again = start_import(**wish(actor=owner))
    settle(again, dict(job.result) | {"artifact": "tiny-1"} if job.result else artifact(places))
    assert (ModelVersion.objects.count(), held(owner)) == (1, 4)
    delete_version(version=ModelVersion.objects.get(), actor=owner)
    assert held(owner) == 0
    assert set(LedgerEntry.objects.exclude(stored_bytes=0).values_list("stored_bytes", flat=True)) == {4, -4}


def test_an_adaptation_reserves_what_its_base_takes(owner: Any, places: Path) -> None:  # noqa: F811
    settle(start_import(**wish(actor=None)), artifact(places))
    base = ModelVersion.objects.get()
    arguments = {"base": {"version": str(base), "digest": base.digest}, "name": "tiny", "title": "Tiny"}
    job = jobs.create(kind="adapt_model", title="Tiny", arguments=arguments, actor=owner)
    assert held(owner) == 4
    jobs.cancel(job=job, actor=owner)
    assert held(owner) == 0


def test_what_there_is_no_room_for_is_refused(owner: Any) -> None:
    start_import(**wish(actor=owner))
    with pytest.raises(JobRefused, match="stored"):
        start_import(**wish(actor=owner))
    assert (Job.objects.count(), held(owner)) == (1, 100)


def test_a_cancelled_import_gives_them_back(owner: Any) -> None:
    job = start_import(**wish(actor=owner))
    jobs.cancel(job=job, actor=owner)
    assert (Job.objects.get().state, held(owner)) == ("CANCELLED", 0)


def test_what_was_interrupted_in_between_is_swept(owner: Any) -> None:
    job = start_import(**wish(actor=owner))
    Job.objects.filter(pk=job.pk).update(state=Job.State.FAILED)
    sweep(now=9e9)
    assert held(owner) == 0


def test_the_api_says_it_as_of_everything_else(owner: Any, places: Path) -> None:  # noqa: F811
    owner.role = "admin"
    owner.save()
    limit(owner, 50)
    me = caller(owner)
    status, refused = me.ask("post", "/imports", {"source": "tiny", "name": "tiny"})
    assert (status, refused["error"]["type"], refused["error"]["metric"]) == (429, "quota_exceeded", "stored_bytes")
    body = {"name": "ours", "upload": SimpleUploadedFile("model.gguf", b"GGUF" * 20)}
    assert Client().post("/api/v1/imports/upload", body, headers=me.headers).status_code == 429
    assert [one.name for one in (places / "imports").iterdir()] == ["tiny"]
    assert held(owner) == 0


def test_the_page_says_which_limit_it_is(owner: Any, places: Path) -> None:  # noqa: F811
    owner.role = "admin"
    owner.save()
    limit(owner, 50)
    page = Client()
    page.force_login(owner)
    asked = {"source": "tiny", "name": "tiny", "task": "auto", "precision": "auto"}
    answer = page.post("/console/models/import/", asked, follow=True)
    assert "MB stored is reached" in answer.content.decode()
    upload = {**asked, "source": "", "upload": SimpleUploadedFile("model.gguf", b"GGUF" * 20)}
    assert "MB stored is reached" in page.post("/console/models/import/", upload, follow=True).content.decode()
    assert (Job.objects.count(), [one.name for one in (places / "imports").iterdir()]) == (0, ["tiny"])
