"""The file of a model is deleted under a running worker."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from contracts.messages import RevisionSpec
from tests.workers.pipelines import encoders
from tests.workers.process import WorkerProcess

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_what_is_loaded_is_served_on_and_loaded_again_when_the_file_is_back(tmp_path: Path) -> None:
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()
    manifest = {"task": "feature-extraction", "pooling": "mean", "normalize": True, "dimensions": 32}
    artifact = encoders.text_artifact(tmp_path, encoders.bert(), "last_hidden_state", **manifest)
    spec = RevisionSpec("vectors@1", "vectors", "feature-extraction", str(artifact), "0" * 64)
    model, inputs = artifact / "model.onnx", {"texts": ["the cat sat"]}
    with WorkerProcess() as worker:
        worker.want(spec)
        worker.state(spec.key, "READY")
        before = worker.answer(spec, inputs).result
        content = model.read_bytes()

        model.unlink()
        assert worker.answer(spec, inputs).result == before
        again = replace(spec, generation=2)
        worker.want(again)
        assert "model.onnx" in worker.state(spec.key, "FAILED", generation=2).reason

        model.write_bytes(content)
        worker.state(spec.key, "READY", generation=2)
        assert worker.answer(again, inputs).result == before
