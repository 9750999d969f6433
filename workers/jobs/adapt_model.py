"""The job that adapts an imported chat model to conversations with LoRA, and makes an artifact of the merged model.

Arguments are those of contracts.adaptation.AdaptArguments. It tells its curve as `train` does, and goes on from its
checkpoint as `train` does. Its result is {artifact, digest, metrics}.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, AutoTokenizer

from contracts import conversations
from contracts.adaptation import COMPARED, AdaptArguments, Settings
from contracts.conversations import Conversations
from contracts.messages import JobRequest
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.store import store_at
from workers.backends.heap import give_back
from workers.export import adapted, parity
from workers.export.imported import content_of, export_generation
from workers.export.manifest import seal
from workers.export.source import SMOLLM2, ExportError
from workers.export.stages import BUILD, LOAD, Stage, run_stage
from workers.jobs.curve import TRAINING, Curve, run_name
from workers.jobs.folder import kept_folder
from workers.jobs.report import JobError, Report, main
from workers.pipelines.chat_tokenizer import ChatTokenizer
from workers.sources.files import check_place
from workers.sources.kind import ModelSource, inspect
from workers.sources.refusal import Refused
from workers.training import dialogues as tokens
from workers.training import lora
from workers.training.dialogues import Dialogue, Dialogues, NotLearned
from workers.training.loop import Options, parameters_of
from workers.training.lora import AdaptConfig, Ranks
from workers.training.memory import GB, free_memory

_EVALUATIONS = 10  # of a run
_CHECKPOINT_EVERY = 10  # steps: what a cancelled or interrupted attempt loses at most
_COMPARED = 5  # conversations of the validation part
_ANSWER_TOKENS = 160
_SHOWN_CHARS = 2000  # of a question or an answer in the manifest
_LOGITS = 3  # copies that a step holds at once: as they come, as numbers to sum, their gradient
_CHECKED = 4  # conversations that base and adapter are compared on with the merged model
_LOADING = Stage(LOAD.name, 0.02, 0.08, LOAD.seconds)


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    """The artifact's folder, a sibling of `folder`. Raises JobError."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))
    try:
        wanted = AdaptArguments.from_dict(request.arguments)
        settings = Settings.from_dict(wanted.settings)
        report.progress("checking the files", 0.0)
        source, read = _source(wanted), _conversations(wanted)
        with kept_folder(folder.parent, request.job_id) as kept:
            return Adapting(wanted, settings, folder, kept, report).run(source, read, request.memory_limit)
    except (Refused, ExportError, ArtifactError, ValueError, TypeError, ArithmeticError, OSError) as error:
        raise JobError(str(error)) from error


def _source(wanted: AdaptArguments) -> ModelSource:
    """The original of the base, as it was when it was imported. Raises Refused, ExportError, JobError."""
    if not wanted.source:
        path = SMOLLM2.locate()
        source, digest = ModelSource(path, "gguf", "text-generation", [path]), SMOLLM2.sha256
    else:
        roots = [Path(root) for root in wanted.roots]
        source = inspect(Path(wanted.source), roots, wanted.most_bytes, "text-generation")
        if source.kind not in ("hugging-face", "gguf"):
            raise JobError(f"{source.path.name} is a finished graph. Import the original, and adapt that.")
        digest = content_of(source)[1]
    if digest != wanted.base["sha256"]:
        raise JobError(f"{source.path.name} was changed since it was imported. Import it again, and adapt that.")
    return source


def _conversations(wanted: AdaptArguments) -> Conversations:
    """Raises JobError, Refused, Unreadable."""
    if not Path(wanted.data).is_file():
        raise JobError("The conversations are no longer there. Send the file again.")
    path = check_place(Path(wanted.data), [Path(root) for root in wanted.roots])
    if path.stat().st_size > conversations.MOST_MB * 2**20:
        raise JobError(f"The file is larger than {conversations.MOST_MB} MB. Split it.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != wanted.data_sha256:
        raise JobError("The conversations are not those that were sent. Send the file again.")
    return conversations.read(content)


class Adapting:
    """Works inside `folder`, which its owner removes, and keeps in `kept` what another attempt goes on from."""

    def __init__(self, wanted: AdaptArguments, settings: Settings, folder: Path, kept: Path, report: Report) -> None:
        self.wanted, self.settings, self.folder, self.kept, self.report = wanted, settings, folder, kept, report
        self._asked: list[list[int]] = []  # prompts that base and adapted model are compared on

    def run(self, source: ModelSource, read: Conversations, memory_limit: int) -> dict[str, Any]:
        original = self._original(source)
        self.report.progress("reading the conversations", 0.08)
        words = self._words(original)
        learned, validation = self._dialogues(read, words)
        config = self._config(len(learned))
        _check_memory(original, config, max(len(one.ids) for one in learned), memory_limit)
        self.report.progress("reading weights", 0.09, recipe=asdict(config))
        model = lora.load(original, config)
        best = self._train(config, model, learned, validation)
        values = self._values(config, model, learned, validation, read)
        values["metrics"]["best_step"] = best
        values[COMPARED] = self._compared(model, validation, words)
        merged, error = self._merge(model, original, validation)
        del model
        gc.collect()
        give_back()
        values["metrics"]["merge_error"] = error
        return self._publish(merged, values, words)

    def _original(self, source: ModelSource) -> Path:
        """A transformers folder."""
        if source.kind != "gguf":
            return source.path
        made = self.kept / "original"
        if not made.exists():
            fresh = self.folder / "original"
            self._step(_LOADING, "workers.export.gguf_to_transformers", source.path, fresh)
            shutil.move(fresh, made)
        return made

    def _words(self, original: Path) -> ChatTokenizer:
        """What the worker that serves the model will read and write with."""
        folder = self.folder / "words"
        AutoTokenizer.from_pretrained(original).save_pretrained(folder)
        return ChatTokenizer(folder, _eos_ids(original))

    def _dialogues(self, read: Conversations, words: ChatTokenizer) -> tuple[list[Dialogue], list[Dialogue]]:
        """Raises Unreadable when too few are left."""
        found, kept = [], []
        for one in read.found:
            try:
                found.append(tokens.encode(one, words, self.settings.longest))
                kept.append(one)
            except NotLearned as refused:
                read.refuse(one.line, str(refused))
        for line, reason in read.refused:
            print(f"Line {line} is left out: {reason}", flush=True)
        read.found = kept
        conversations.require_enough(read)
        return tokens.split(found, self.settings.seed)

    def _config(self, count: int) -> AdaptConfig:
        given = self.settings
        steps = given.epochs * max(1, count // given.batch_size)
        options = Options(
            seed=given.seed, steps=steps, batch_size=given.batch_size, learning_rate=given.learning_rate,
            weight_decay=0.0, evaluate_every=max(1, steps // _EVALUATIONS), checkpoint_every=_CHECKPOINT_EVERY,
        )  # fmt: skip
        return AdaptConfig(
            name=f"LoRA, {self.wanted.base['version']}", base=self.wanted.base["sha256"], data=self.wanted.data_sha256,
            rank=given.rank, alpha=given.alpha, longest=given.longest, options=options,
        )  # fmt: skip

    def _train(self, config: AdaptConfig, model: Ranks, learned: list[Dialogue], validation: list[Dialogue]) -> int:
        """The step with the best ranks, which the model has afterwards."""
        run, curve = self.kept / run_name(config), Curve(config, self.report)
        curve.go_on(run)
        state = lora.train(config, model, learned, validation, run, curve.say)
        return int(state.best["step"])

    def _values(
        self, config: AdaptConfig, model: Ranks, learned: list[Dialogue], validation: list[Dialogue],
        read: Conversations,
    ) -> dict[str, Any]:  # fmt: skip
        """What the manifest says but for the graph."""
        self.report.progress("comparing with the base", TRAINING)
        held_back, size = Dialogues(validation), config.options.batch_size
        with torch.inference_mode():
            after = lora.score(model, held_back, size)
            with lora.as_before(model):
                before = lora.score(model, held_back, size)
        wanted = self.wanted
        return {
            "name": wanted.name, "title": wanted.title, "task": "text-generation", "precision": wanted.precision,
            "licence": wanted.base.get("licence", ""),
            "source": {
                "origin": f"LoRA on {wanted.base['version']}", "base": wanted.base, "parameters": parameters_of(model),
                "data": {
                    "name": wanted.data_name, "sha256": wanted.data_sha256, "train": len(learned),
                    "validation": len(validation), "refused": read.refused_count,
                    "tokens": sum(sum(one.is_learned) for one in learned),
                },
                "training": asdict(config),
            },
            "command": _command(wanted, self.settings),
            "metrics": {"before": before, "after": after},
        }  # fmt: skip

    def _compared(self, model: Ranks, validation: list[Dialogue], words: ChatTokenizer) -> list[dict[str, Any]]:
        """What base and adapted model answer where the validation part has an answer."""
        found = []
        for one in validation[:_COMPARED]:
            self.report.progress("comparing with the base", TRAINING)
            messages = [{"role": each.role, "content": each.content} for each in one.conversation.messages[:-1]]
            ids = words.encode({"messages": messages})
            self._asked.append(ids)

            def answer(ids: list[int] = ids) -> str:
                return words.decode(lora.greedy(model.whole, ids, words.eos_ids, _ANSWER_TOKENS))[:_SHOWN_CHARS]

            after = answer()
            with lora.as_before(model):
                before = answer()
            found.append({
                "line": one.conversation.line, "question": one.conversation.question[:_SHOWN_CHARS],
                "wanted": one.conversation.answer[:_SHOWN_CHARS], "before": before, "after": after,
            })  # fmt: skip
        return found

    def _served(self, graph: dict[str, Any], words: ChatTokenizer) -> list[str]:
        """The same by the exported graph: few bits may say it otherwise."""
        path, head_dim = self.folder / "artifact" / graph["model"], graph["kv"]["head_dim"]
        said = [parity.greedy(path, head_dim, ids, words.eos_ids, _ANSWER_TOKENS) for ids in self._asked]
        return [words.decode(one)[:_SHOWN_CHARS] for one in said]

    def _merge(self, model: Ranks, original: Path, validation: list[Dialogue]) -> tuple[Path, float]:
        self.report.progress("merging", TRAINING + 0.02)
        _check_space(model, self.folder)
        merged = self.folder / "merged"
        adapted.write_adapter(model.whole, self.folder / "ranks", self.wanted.base["origin"])
        error = adapted.merge(model.whole, original, merged, (one.ids for one in validation[:_CHECKED]))
        return merged, error

    def _publish(self, merged: Path, values: dict[str, Any], words: ChatTokenizer) -> dict[str, Any]:
        artifact, wanted = self.folder / "artifact", self.wanted
        graph = export_generation(merged, artifact, wanted.precision, self._export_step)
        for row, served in zip(values[COMPARED], self._served(graph, words), strict=True):
            row["served"] = served
        for path in (self.folder / "ranks").iterdir():
            shutil.move(path, artifact)
        whole = {**values, **graph, "metrics": {**values["metrics"], **graph["metrics"]}}
        (artifact / "README.md").write_text(adapted.model_card(whole))
        digest = seal(artifact, whole)
        name = f"{wanted.name}-{digest[:16]}"
        heard = partial(self.report.share, "uploading", 0.98, 1.0)
        store_at(wanted.store, self.folder.parent, heard).put(artifact, name)
        return {"artifact": name, "digest": digest, "metrics": whole["metrics"]}

    def _export_step(self, stage: Stage, *arguments: str | Path) -> None:
        """The stages of an import behind those of the training."""
        begin, share = TRAINING + 0.03, (0.98 - TRAINING - 0.03) / (1 - BUILD.begin)
        ends = [begin + share * (one - BUILD.begin) for one in (stage.begin, stage.end)]
        self._step(Stage(stage.name, ends[0], ends[1], stage.seconds), *arguments)

    def _step(self, stage: Stage, *arguments: str | Path) -> None:
        echo: Callable[[str], None] = lambda text: print(text, end="", flush=True)  # noqa: E731
        run_stage(stage, [str(one) for one in arguments], self.folder / "log.txt", self.report.progress, echo)


def _command(wanted: AdaptArguments, settings: Settings) -> str:
    """How to ask for the same by key."""
    base, _, version = wanted.base["version"].rpartition(" v")
    values = {"base": base, "version": version, "name": wanted.name, "precision": wanted.precision, **asdict(settings)}
    fields = " ".join(f"-F {name}={value}" for name, value in values.items())
    return f"curl -F upload=@{wanted.data_name} {fields} /api/v1/adaptations"


def _eos_ids(original: Path) -> list[int]:
    """As the export finds them (workers/export/manifest.py)."""
    for name in ("generation_config.json", "config.json"):
        path = original / name
        found = json.loads(path.read_text()).get("eos_token_id") if path.exists() else None
        if found is not None:
            return [found] if isinstance(found, int) else list(found)
    return []


def _check_memory(original: Path, config: AdaptConfig, longest: int, limit: int) -> None:
    """Raises JobError, before the weights are read. Counts weights in fp32 and the logits of a batch: the least."""
    described = AutoConfig.from_pretrained(original)
    is_half = "16" in str(described.dtype)
    weights = sum(path.stat().st_size for path in original.glob("*.safetensors")) * (2 if is_half else 1)
    logits = _LOGITS * 4 * config.options.batch_size * longest * described.get_text_config().vocab_size
    free = min(free_memory(), limit - psutil.Process().memory_info().rss)
    if weights + logits > free:
        raise JobError(
            f"Adapting it needs at least {(weights + logits) / GB:.1f} GB; {free / GB:.1f} GB are free. Take fewer "
            "conversations at a time, shorter ones, or a smaller model."
        )


def _check_space(model: Ranks, folder: Path) -> None:
    """The merged model in fp32, and its graph."""
    needed = 2 * 4 * parameters_of(model.whole)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise JobError(f"The disk of the artifacts has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed.")


if __name__ == "__main__":
    sys.exit(main(run))
