"""Imports from beginning to end: a tiny model that transformers made, the job's process, the artifact."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import redis

from contracts import names
from contracts.messages import JobRequest
from tests.workers import tiny_models
from workers.jobs.journal import Journal
from workers.jobs.runner import run_job

pytestmark = pytest.mark.integration


@pytest.fixture
def client() -> redis.Redis:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    return client


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "imports").mkdir()
    return tmp_path / "imports" / "tiny"


def queue(client: redis.Redis, source: Path, **values) -> JobRequest:
    arguments = {
        "source": str(source), "name": "tiny", "title": "Tiny", "task": "auto", "precision": "fp32",
        "roots": [str(source.parent)], "most_bytes": 10**9, **values,
    }  # fmt: skip
    request = JobRequest(job_id="j1", kind="import_model", arguments=arguments)
    key = names.job_key("j1")
    client.delete(key, names.job_stream_key("j1"))
    client.hset(key, mapping={"payload": request.to_json(), "attempt": 1, "state": "queued"})
    return request


def do(client: redis.Redis, source: Path, artifacts: Path, **values) -> dict:
    """The result of the import, or its error."""
    queue(client, source, **values)
    assert run_job(Journal(client, "j1", 1, "worker"), artifacts)
    rows = [(row[b"event"].decode(), json.loads(row[b"data"])) for _, row in client.xrange(names.job_stream_key("j1"))]
    assert list(artifacts.glob(".job-*")) == []
    ended = dict(rows)
    lines = "\n".join(data["line"] for event, data in rows if event == "log")
    assert "result" in ended or "error" in ended
    return ended.get("result") or {**ended["error"], "log": lines}


def manifest_of(artifacts: Path, result: dict) -> dict:
    assert "artifact" in result, result
    folder = artifacts / result["artifact"]
    raw = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == result["digest"]
    manifest = json.loads(raw)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del found["manifest.json"]
    assert {name: said["sha256"] for name, said in manifest["files"].items()} == found
    return manifest


def test_a_text_encoder_is_imported_once(client, source, tmp_path) -> None:
    tiny_models.encoder(source)
    artifacts = tmp_path / "artifacts"
    result = do(client, source, artifacts)
    manifest = manifest_of(artifacts, result)
    keys = ("task", "model", "pooling", "normalize", "dimensions", "max_length", "inputs", "outputs", "pad_id")
    assert {key: manifest[key] for key in keys} == {
        "task": "feature-extraction", "model": "model.onnx", "pooling": "mean", "normalize": True, "dimensions": 64,
        "max_length": 64, "inputs": ["input_ids", "attention_mask", "token_type_ids"],
        "outputs": ["last_hidden_state"], "pad_id": 258,
    }  # fmt: skip
    assert manifest["metrics"]["parity"]["max_error"] < 1e-3
    assert do(client, source, artifacts, name="other") == result


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Bert", "DistilBert", "Roberta", "XLMRoberta", "Electra", "MPNet"])
def test_classifiers_are_imported(client, source, tmp_path, name) -> None:
    tiny_models.encoder(source, name, labels=3)
    manifest = manifest_of(tmp_path / "artifacts", do(client, source, tmp_path / "artifacts"))
    assert (manifest["task"], manifest["labels"]) == ("text-classification", ["LABEL_0", "LABEL_1", "LABEL_2"])
    assert manifest["problem_type"] == "single_label_classification"
    assert manifest["metrics"]["parity"]["max_error"] < 1e-3


@pytest.mark.slow
def test_clip_is_imported_as_two_towers(client, source, tmp_path) -> None:
    import onnxruntime
    import torch
    import transformers

    artifacts = tmp_path / "artifacts"
    manifest = manifest_of(artifacts, result := do(client, tiny_models.towers(source), artifacts))
    assert manifest["task"] == "zero-shot-image-classification"
    assert (manifest["dimensions"], round(manifest["logit_scale"], 2)) == (24, 14.28)
    folder = artifacts / result["artifact"]
    model = transformers.CLIPModel.from_pretrained(source).eval()
    ids, pixels = torch.tensor([[256, 5, 6, 257]]), torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        wanted = model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels)
    text = onnxruntime.InferenceSession(str(folder / manifest["models"]["text"])).run(
        None, {"input_ids": ids.numpy(), "attention_mask": np.ones_like(ids.numpy())}
    )[0]
    image = onnxruntime.InferenceSession(str(folder / manifest["models"]["image"])).run(
        None, {"pixel_values": pixels.numpy()}
    )[0]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (text, image)]
    logits = unit[0] @ unit[1].T * manifest["logit_scale"]
    np.testing.assert_allclose(logits, wanted.logits_per_text.numpy(), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma", "SmolLM3", "Granite"])
def test_language_models_are_imported(client, source, tmp_path, name) -> None:
    tiny_models.language_model(source, name)
    artifacts = tmp_path / "artifacts"
    result = do(client, source, artifacts)
    manifest = manifest_of(artifacts, result)
    assert (manifest["task"], manifest["context_length"], manifest["eos_ids"]) == ("text-generation", 512, [257])
    parity = manifest["metrics"]["parity"]
    assert parity["top1_agreement"] == 1.0
    assert parity["max_error"] < 1e-3
    if name == "Llama":  # what was made can be imported again, as a finished graph
        shutil.copytree(artifacts / result["artifact"], source.parent / "genai")
        again = manifest_of(artifacts, do(client, source.parent / "genai", artifacts, name="again", precision="auto"))
        assert (again["precision"], again["source"]["kind"]) == ("fp32", "genai")
        assert again["metrics"]["consistency"]["max_error"] < 1e-3


@pytest.mark.slow
def test_an_onnx_folder_is_imported_as_it_is(client, source, tmp_path) -> None:
    artifacts = tmp_path / "artifacts"
    made = do(client, tiny_models.encoder(source, labels=2), artifacts)
    folder = source.parent / "onnx"
    shutil.copytree(artifacts / made["artifact"], folder)
    shutil.copy(source / "config.json", folder)
    manifest = manifest_of(artifacts, do(client, folder, artifacts, name="again", precision="auto"))
    assert (manifest["task"], manifest["source"]["kind"], manifest["max_length"]) == ("text-classification", "onnx", 64)
    assert manifest["metrics"]["consistency"]["max_error"] < 1e-3


@pytest.mark.slow
def test_an_import_goes_into_a_bucket_once(client, source, tmp_path, bucket) -> None:
    tiny_models.encoder(source)
    result = do(client, source, tmp_path / "artifacts", store=bucket.address)
    assert "artifact" in result, result
    raw = bucket.client.get_object(Bucket=bucket.name, Key=f"models/{result['artifact']}/manifest.json")["Body"].read()
    assert hashlib.sha256(raw).hexdigest() == result["digest"]
    keys = bucket.keys()
    listed = [*json.loads(raw)["files"], "manifest.json"]
    assert keys == sorted(f"models/{result['artifact']}/{name}" for name in listed)
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [".jobs.lock"]
    assert do(client, source, tmp_path / "artifacts", store=bucket.address) == result
    assert bucket.keys() == keys


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_nothing_and_can_be_tried_again(client, source, tmp_path) -> None:
    """The worker dies with kill -9 while a step runs; the next one sweeps."""
    tiny_models.encoder(source)
    artifacts = tmp_path / "artifacts"
    queue(client, source)
    program = (
        "import os, redis; from pathlib import Path; from workers.jobs.journal import Journal;"
        "from workers.jobs.runner import run_job; client = redis.Redis.from_url(os.environ['REDIS_URL']);"
        f"run_job(Journal(client, 'j1', 1, 'w'), Path({str(artifacts)!r}))"
    )
    worker = psutil.Process(subprocess.Popen([sys.executable, "-c", program]).pid)
    for _ in range(300):
        if len(below := worker.children(recursive=True)) == 2:  # the job, and its step
            break
        time.sleep(0.1)
    assert len(below) == 2
    worker.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs(below, timeout=5)
    assert (len(gone), alive) == (len(below), [])
    assert [folder.name for folder in artifacts.glob(".job-*")] == [".job-j1"]
    from workers.jobs.folder import sweep

    assert sweep(artifacts) == [".job-j1"]
    assert [path.name for path in artifacts.iterdir()] == [".jobs.lock"]
    assert "artifact" in do(client, source, artifacts)


@pytest.mark.slow
def test_an_import_is_cancelled(client, source, tmp_path) -> None:
    tiny_models.encoder(source)
    artifacts = tmp_path / "artifacts"
    queue(client, source)
    runner = threading.Thread(target=run_job, args=(Journal(client, "j1", 1, "worker"), artifacts))
    runner.start()
    time.sleep(3)
    asked = time.monotonic()
    client.hset(names.job_key("j1"), "cancel", "1")
    runner.join(10)
    assert time.monotonic() - asked < 2
    assert [path.name for path in artifacts.iterdir()] == [".jobs.lock"]


def test_a_refusal_reaches_the_administrator(client, source, tmp_path) -> None:
    source.mkdir()
    (source / "pytorch_model.bin").write_bytes(b"pickle")
    error = do(client, source, tmp_path / "artifacts")
    assert error["type"] == "refused"
    assert error["message"].startswith("pytorch_model.bin holds pickled weights")


@pytest.mark.slow
def test_a_gguf_file_is_imported(client, source, tmp_path) -> None:
    from workers.export.source import SMOLLM2

    path = shutil.copy(SMOLLM2.locate(), source.parent)
    artifacts = tmp_path / "artifacts"
    manifest = manifest_of(artifacts, do(client, Path(path), artifacts, precision="auto"))
    assert (manifest["task"], manifest["precision"], manifest["source"]["kind"]) == ("text-generation", "int4", "gguf")
    assert manifest["metrics"]["parity"]["top1_agreement"] > 0.7
    assert manifest["kv"] == {"layers": 30, "heads": 3, "head_dim": 64}


@pytest.mark.slow
def test_int8(client, source, tmp_path) -> None:
    artifacts = tmp_path / "artifacts"
    manifest = manifest_of(artifacts, do(client, tiny_models.language_model(source), artifacts, precision="int8"))
    assert manifest["precision"] == "int8"
    assert manifest["metrics"]["parity"]["top1_agreement"] > 0.9


@pytest.mark.slow
def test_fp16(client, source, tmp_path) -> None:
    artifacts = tmp_path / "artifacts"
    manifest = manifest_of(artifacts, do(client, tiny_models.language_model(source), artifacts, precision="fp16"))
    assert manifest["precision"] == "fp16"
    assert manifest["metrics"]["parity"]["top1_agreement"] > 0.99
    assert manifest["metrics"]["parity"]["max_error"] < 1e-3
