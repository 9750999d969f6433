"""What a source is, once every check that needs no model has passed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import gguf_file, onnx_file, safetensors_file
from .architectures import ENCODERS, GENERATION, TOWERS, task_of
from .files import check_place, list_files, neighbour, read_json
from .refusal import Refused

_TOKENIZERS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
_CONFIGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class ModelSource:
    path: Path
    kind: str  # gguf, genai, onnx, hugging-face
    task: str
    files: list[Path]
    config: dict[str, Any] = field(default_factory=dict)


def inspect(source: Path, roots: list[Path], most_bytes: int, task: str = "auto") -> ModelSource:
    """Check everything that can be checked without loading the model. Raises Refused."""
    path = check_place(source, roots)
    files = list_files(path, most_bytes)
    names = {file.name for file in files if file.parent == path}
    if path.suffix == ".gguf" or (path.is_dir() and any(name.endswith(".gguf") for name in names)):
        found = _gguf(path, files)
    elif "genai_config.json" in names:
        found = _genai(path, files)
    elif any(name.endswith(".onnx") for name in names):
        found = _onnx(path, files, task)
    elif "config.json" in names:
        found = _hugging_face(path, files, task)
    else:
        raise Refused(
            f"{path.name} is no model that can be imported: it is neither a GGUF file, nor a folder with config.json "
            "and *.safetensors, with *.onnx, or with genai_config.json."
        )
    if task not in ("auto", found.task):
        raise Refused(f"{path.name} is a model for {found.task}, not for {task}. Choose that task, or auto.")
    return found


def _gguf(path: Path, files: list[Path]) -> ModelSource:
    found = [file for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise Refused(f"{path.name} holds {len(found)} GGUF files. Import one file; parts have to be merged first.")
    gguf_file.check(found[0])
    return ModelSource(found[0], "gguf", "text-generation", found)


def _genai(path: Path, files: list[Path]) -> ModelSource:
    config = read_json(path / "genai_config.json")
    _refuse_key(config, "custom_ops_library", "genai_config.json")
    decoder = config.get("model", {}).get("decoder", {}) if isinstance(config.get("model"), dict) else {}
    if not {"filename", "num_hidden_layers", "num_key_value_heads", "head_size"} <= set(decoder):
        raise Refused("genai_config.json describes no decoder of one graph. Build a text model with one graph.")
    onnx_file.check(neighbour(path, decoder["filename"]))
    _check_tokenizer(path, needs_template=True)
    return ModelSource(path, "genai", "text-generation", files, config)


def _onnx(path: Path, files: list[Path], task: str) -> ModelSource:
    graphs = [file for file in files if file.suffix == ".onnx"]
    if len(graphs) != 1:
        raise Refused(f"{path.name} holds {len(graphs)} ONNX graphs. Keep the one to be served.")
    model = onnx_file.check(graphs[0])
    inputs = {value.name for value in model.graph.input}
    if any("past_key_values" in name for name in inputs):
        raise Refused(
            "Text generation is imported from a Hugging Face, GGUF or onnxruntime-genai source, not from this."
        )
    if not {"input_ids", "attention_mask"} <= inputs or inputs - {"input_ids", "attention_mask", "token_type_ids"}:
        raise Refused(f"The graph wants {', '.join(sorted(inputs))}; a text encoder has input_ids and attention_mask.")
    config = read_json(neighbour(path, "config.json"))
    _check_tokenizer(path)
    found = task if task != "auto" else task_of(config)
    if found not in ("text-classification", "feature-extraction"):
        raise Refused(
            "config.json does not say what the graph is for. Choose text-classification or feature-extraction."
        )
    return ModelSource(path, "onnx", found, files, config)


def _hugging_face(path: Path, files: list[Path], task: str) -> ModelSource:
    for name in _CONFIGS:
        if (path / name).exists():
            _refuse_key(read_json(path / name), "auto_map", name)
    config = read_json(path / "config.json")
    found = task_of(config)
    if not found:
        names = ", ".join(map(str, config.get("architectures") or ["no architecture"]))
        known = ", ".join((*GENERATION, *TOWERS, *(f"{name} encoders" for name in ENCODERS)))
        raise Refused(f"config.json names {names}, which cannot be imported. Known are {known}.")
    weights = [file for file in files if file.suffix == ".safetensors" and file.parent == path]
    if not weights:
        raise Refused(f"{path.name} has no *.safetensors. Save the model with save_pretrained.")
    for file in weights:
        safetensors_file.check(file)
    if (index := path / "model.safetensors.index.json").exists():
        for name in set(dict(read_json(index).get("weight_map", {})).values()):
            neighbour(path, name)
    _check_tokenizer(path, needs_template=found == "text-generation")
    if found == "zero-shot-image-classification":
        neighbour(path, "preprocessor_config.json")
    return ModelSource(path, "hugging-face", found, files, config)


def _check_tokenizer(path: Path, *, needs_template: bool = False) -> None:
    if not any(all((path / name).is_file() for name in names) for names in _TOKENIZERS):
        raise Refused(
            f"{path.name} has no tokenizer (tokenizer.json). Put it there: "
            "AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)."
        )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (path / name).exists():
            config = read_json(path / name)
    if needs_template and not (path / "chat_template.jinja").exists() and not config.get("chat_template"):
        raise Refused(f"{path.name} has no chat template. Import an instruction-tuned model, or add its template.")


def _refuse_key(values: Any, key: str, name: str) -> None:
    """`key` anywhere inside `values` asks for code that is not ours to run."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if key in value:
                raise Refused(
                    f"{name} asks for code of its own ({key}), which is not run here. Use a built-in architecture."
                )
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
