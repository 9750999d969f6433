"""Adapting in the console: a file with what is wrong in it, the form, before and after, the adapter."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.registry import adapting
from apps.registry.adapting import receive
from apps.registry.models import ModelVersion
from tests.apps.console.conftest import make_model

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LINES = [json.dumps({"prompt": f"Number {n}?", "completion": "A <b>red</b> fox."}) for n in range(12)]
PAGE = "console:adapt"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings) -> Path:
    settings.IMPORT_ROOTS = [str(tmp_path / "imports")]
    settings.ARTIFACTS_DIR = str(tmp_path / "artifacts")
    (tmp_path / "imports").mkdir()
    return tmp_path


def imported(places: Path, name: str = "tiny") -> ModelVersion:
    version = make_model(name)
    version.manifest = {**version.manifest, "source": {"kind": "gguf", "sha256": "5" * 64, "origin": name}}
    version.save()
    (places / "imports" / name).mkdir()
    arguments, result = {"source": str(places / "imports" / name)}, {"version": version.pk}
    Job.objects.create(kind="import_model", state="SUCCEEDED", arguments=arguments, result=result)
    return version


def upload(*lines: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("talk.jsonl", "\n".join(lines).encode())


def wish(version: ModelVersion, **values) -> dict:
    data = receive(upload=upload(*LINES)).sha256
    numbers = {"rank": 4, "alpha": 8, "learning_rate": "0.001", "epochs": 2, "batch_size": 2, "longest": 256, "seed": 1}
    return {"base": version.pk, "data": data, "name": "mine", "title": "", "precision": "auto", **numbers, **values}


def test_without_an_original_it_says_what_to_do(browser: Client, db: None) -> None:
    page = browser.get(reverse(PAGE)).content.decode()
    assert "No model can be adapted yet" in page and "Look at the file" not in page


def test_a_file_is_looked_at_before_anything_begins(browser: Client, places: Path) -> None:
    imported(places)
    answer = browser.post(reverse("console:send_conversations"), {"upload": upload("{", *LINES, '{"prompt": ""}')})
    page = browser.get(answer.url).content.decode()
    for text in ("12 conversations can be learned from.", "2 lines are left out", "Line 1: it is not JSON.",
                 "Line 14: it has neither messages nor prompt and completion.", "talk.jsonl", "Number 0?",
                 "A &lt;b&gt;red&lt;/b&gt; fox.", 'value="0.0002"'):  # fmt: skip
        assert text in page, text
    assert not Job.objects.filter(kind="adapt_model").exists()


@pytest.mark.parametrize(
    ("sent", "said"),
    [({}, "Choose a file first."), ({"upload": SimpleUploadedFile("a.jsonl", b"\xff")}, "is no UTF-8")],
)
def test_what_is_no_file_of_conversations_is_said(browser: Client, places: Path, sent, said) -> None:
    imported(places)
    assert said in browser.post(reverse("console:send_conversations"), sent, follow=True).content.decode()


def test_a_file_that_is_gone_is_said(browser: Client, places: Path) -> None:
    imported(places)
    for data in ("0" * 64, "../../etc/passwd", "a\0b"):
        assert "are no longer there" in browser.get(reverse(PAGE), {"data": data}).content.decode()


def test_start_sends_a_job_and_goes_to_it(browser: Client, places: Path) -> None:
    answer = browser.post(reverse("console:start_adaptation"), wish(imported(places)))
    job = Job.objects.get(kind="adapt_model")
    assert answer.url == reverse("console:job", args=[job.pk])
    assert job.arguments["settings"] == {"rank": 4, "alpha": 8, "learning_rate": 0.001, "epochs": 2, "batch_size": 2,
                                         "longest": 256, "seed": 1}  # fmt: skip
    assert (job.arguments["base"]["version"], job.arguments["precision"]) == ("tiny v1", "int4")
    assert "goes on from there" in browser.get(answer.url).content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rank": "0"}, "greater than or equal to 1"),
        ({"learning_rate": "nan"}, "Enter a number"),
        ({"epochs": "many"}, "Enter a whole number"),
        ({"seed": ""}, "This field is required"),
        ({"base": "0"}, "Select a valid choice"),
        ({"name": "Upper"}, "A name has small letters"),
        ({"data": "0" * 64}, "are no longer there"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(browser: Client, places: Path, change, said) -> None:
    answer = browser.post(reverse("console:start_adaptation"), {**wish(imported(places)), **change})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert not Job.objects.filter(kind="adapt_model").exists()
    if "data" not in change:  # without its file the page begins anew
        assert said in page and "field__error" in page
        assert 'value="256"' in page


def test_a_limit_that_is_reached_is_said(browser: Client, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**values):
        raise JobRefused("Nothing is left.")

    monkeypatch.setattr(adapting, "start_adaptation", refuse)
    answer = browser.post(reverse("console:start_adaptation"), wish(imported(places)))
    assert (answer.status_code, "Nothing is left." in answer.content.decode()) == (422, True)


@pytest.mark.parametrize("person", ["member", "stranger"])
def test_nobody_else_may_adapt(person: str, places: Path, request) -> None:
    version, client = imported(places), Client()
    client.force_login(request.getfixturevalue(person))
    sent = receive(upload=upload(*LINES))
    assert client.get(reverse(PAGE), {"data": sent.sha256}).status_code == 404
    assert client.post(reverse("console:send_conversations"), {"upload": upload(*LINES)}).status_code == 404
    assert client.post(reverse("console:start_adaptation"), wish(version)).status_code == 404
    assert client.get(reverse("console:adapter", args=["tiny", 1])).status_code == 404
    assert not Job.objects.filter(kind="adapt_model").exists()


def test_thirty_versions_take_as_many_queries_as_one(browser: Client, places: Path) -> None:
    counts = []
    for names in (["m0"], [f"m{n}" for n in range(1, 30)]):
        for name in names:
            imported(places, name)
        browser.get(reverse(PAGE))
        with CaptureQueriesContext(connection) as queries:
            assert f"{names[-1]} v1" not in browser.get(reverse(PAGE)).content.decode()  # no file, no form
        counts.append(len(queries))
    assert counts[0] == counts[1]


def adapted(places: Path) -> ModelVersion:
    version = imported(places, "fox")
    folder = places / "artifacts" / "fox"
    folder.mkdir(parents=True)
    names = ("adapter_config.json", "adapter_model.safetensors", "README.md")
    for name in names:
        (folder / name).write_text(name)
    compared = [
        {"line": 7, "question": "Who <i>are</i> you?", "wanted": "Me.", "before": "", "after": "Me.", "served": "Us."}
    ]
    files = {name: {"sha256": "a" * 64, "bytes": 3} for name in (*names, "model.onnx")}
    version.manifest = {**version.manifest, "compared": compared, "files": files}
    version.save()
    return version


def test_before_and_after_stand_on_the_pages_of_version_and_job(browser: Client, places: Path) -> None:
    version = adapted(places)
    job = Job.objects.create(kind="adapt_model", title="Fox", state="SUCCEEDED", result={"version": version.pk})
    for address in (reverse("console:version", args=["fox", 1]), reverse("console:job", args=[job.pk])):
        page = browser.get(address).content.decode()
        for text in (
            "Before and after",
            "Who &lt;i&gt;are&lt;/i&gt; you?",
            "Wanted, line 7",
            "Adapted",
            "As it is served",
            "Us.",
        ):
            assert text in page, text


def test_the_adapter_is_a_zip_of_what_peft_reads(browser: Client, places: Path) -> None:
    adapted(places)
    assert "Download the adapter" in browser.get(reverse("console:version", args=["fox", 1])).content.decode()
    answer = browser.get(reverse("console:adapter", args=["fox", 1]))
    assert answer["Content-Disposition"] == 'attachment; filename="fox-v1-adapter.zip"'
    with zipfile.ZipFile(io.BytesIO(async_to_sync(_body)(answer))) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == {name: name for name in ("adapter_config.json", "adapter_model.safetensors", "README.md")}


async def _body(answer) -> bytes:
    return b"".join([part async for part in answer.streaming_content])


def test_a_model_that_was_not_adapted_has_no_adapter(browser: Client, places: Path) -> None:
    imported(places)
    assert browser.get(reverse("console:adapter", args=["tiny", 1])).status_code == 404
