"""What is refused, and that each refusal says what to do."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from workers.sources.kind import inspect
from workers.sources.refusal import Refused

pytestmark = pytest.mark.unit

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
BERT = {"architectures": ["BertModel"], "model_type": "bert"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A BERT folder in which nothing is wrong."""
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.float16)}, folder / "model.safetensors")
    write(folder / "config.json", BERT)
    write(folder / "tokenizer.json", {})
    write(folder / "tokenizer_config.json", {})
    return folder


@pytest.fixture
def graph(model: Path) -> Path:
    """An ONNX encoder in which nothing is wrong, with its weight in a file of its own."""
    (model / "model.safetensors").unlink()
    save_graph(model, node=helper.make_node("Add", ["input_ids", "w"], ["mixed"]))
    return model


def write(path: Path, values: object) -> None:
    path.write_text(json.dumps(values))


def save_graph(
    folder: Path, *, node: onnx.NodeProto, location: str = "w.data", opsets: tuple[str, ...] = ("",)
) -> None:
    (folder / "w.data").write_bytes(bytes(8))
    weight = TensorProto(name="w", data_type=TensorProto.INT64, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        weight.external_data.add(key=key, value=value)
    values = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in ("input_ids", "attention_mask")
    ]
    last = helper.make_node("Add", ["mixed", "attention_mask"], ["y"])
    out = [helper.make_tensor_value_info("y", TensorProto.INT64, ["b", "t"])]
    whole = helper.make_graph([node, last], "g", values, out, [weight])
    made = helper.make_model(whole, opset_imports=[helper.make_opsetid(name, 20 if not name else 1) for name in opsets])
    (folder / "model.onnx").write_bytes(made.SerializeToString())


def refusal(folder: Path, *, most_bytes: int = 10**9, task: str = "auto", roots: list[Path] | None = None) -> str:
    with pytest.raises(Refused) as refused:
        inspect(folder, roots or [folder.parent], most_bytes, task)
    return str(refused.value)


def test_good_sources_are_told_apart(model: Path) -> None:
    found = inspect(model, [model.parent], 10**9)
    assert (found.kind, found.task, len(found.files)) == ("hugging-face", "feature-extraction", 4)


def test_a_good_graph_is_accepted(graph: Path) -> None:
    found = inspect(graph, [graph.parent], 10**9)
    assert (found.kind, found.task) == ("onnx", "feature-extraction")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "m.pt", "m.pth", "m.pkl", "m.ckpt", "deep/m.PICKLE"])
def test_pickles(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"\x80\x04.")
    assert "Convert the model to safetensors" in refusal(model)


def test_libraries(model: Path) -> None:
    (model / "ops.so").write_bytes(b"\x7fELF")
    assert "library of custom operators" in refusal(model)


def test_links(model: Path) -> None:
    (model / "extra.json").symlink_to("/etc/passwd")
    assert "cp -rL" in refusal(model)


def test_folders_elsewhere(model: Path, tmp_path: Path) -> None:
    (tmp_path / "imports").mkdir()
    assert "IMPORT_ROOTS" in refusal(model, roots=[tmp_path / "imports"])
    (tmp_path / "imports" / "link").symlink_to(model)
    assert "IMPORT_ROOTS" in refusal(tmp_path / "imports" / "link", roots=[tmp_path / "imports"])
    assert "IMPORT_ROOTS" in refusal(tmp_path / "imports" / ".." / "model", roots=[tmp_path / "imports"])
    assert "does not exist" in refusal(tmp_path / "nothing")


def test_sizes(model: Path) -> None:
    assert "IMPORT_MAX_GB" in refusal(model, most_bytes=10)


def test_wrong_task(model: Path) -> None:
    assert "not for text-generation" in refusal(model, task="text-generation")


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("config.json", {**BERT, "auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
        ("tokenizer_config.json", {"nested": [{"auto_map": {}}]}, "auto_map"),
        ("config.json", {"architectures": ["MyModel"], "model_type": "mine"}, "names MyModel, which cannot be"),
        ("config.json", {"architectures": ["BertForQuestionAnswering"], "model_type": "bert"}, "cannot be imported"),
        ("config.json", {"architectures": [["BertModel"]], "model_type": "bert"}, "cannot be imported"),
        ("config.json", {}, "names no architecture"),
        ("config.json", [], "holds no object"),
        ("config.json", LLAMA, "no chat template"),
        ("model.safetensors.index.json", {"weight_map": {"a": "model-2.safetensors"}}, "model-2.safetensors, which is"),
        ("model.safetensors.index.json", {"weight_map": {"a": "../x.safetensors"}}, "outside its own folder"),
    ],
)
def test_configurations(model: Path, file: str, values: object, words: str) -> None:
    write(model / file, values)
    assert words in refusal(model)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_damaged_json(model: Path, file: str) -> None:
    (model / file).write_text('{"a": ')
    assert f"{file} is damaged" in refusal(model)


def test_missing_parts(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    assert "has no tokenizer" in refusal(model)
    (model / "model.safetensors").unlink()
    assert "no *.safetensors" in refusal(model)
    (model / "config.json").unlink()
    assert "no model that can be imported" in refusal(model)


def header(values: object, data: bytes = b"") -> bytes:
    raw = json.dumps(values).encode()
    return struct.pack("<Q", len(raw)) + raw + data


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 5) + b"{abc}",
        header({"a": F32}, bytes(7)),
        header({"a": F32}, bytes(9)),
        header({"a": {**F32, "shape": [3]}}, bytes(8)),
        header({"a": {**F32, "dtype": "PICKLE"}}, bytes(8)),
        header({"a": F32, "b": F32}, bytes(8)),
        header([1]),
    ],
)
def test_damaged_safetensors(model: Path, content: bytes) -> None:
    (model / "model.safetensors").write_bytes(content)
    assert "model.safetensors is damaged" in refusal(model)


@pytest.mark.parametrize("location", ["../w.data", "/etc/passwd", "sub/w.data", "..\\w.data", "missing", ""])
def test_external_data_elsewhere(graph: Path, location: str) -> None:
    save_graph(graph, node=helper.make_node("Add", ["input_ids", "w"], ["mixed"]), location=location)
    assert "The model refers to" in refusal(graph)


def test_external_data_cut_off(graph: Path) -> None:
    (graph / "w.data").write_bytes(bytes(7))
    assert "ends before the tensor w" in refusal(graph)


@pytest.mark.parametrize(
    ("operator", "domain"), [("BertTokenizer", "ai.onnx.contrib"), ("Mine", "my.ops"), ("EPContext", "com.microsoft")]
)
def test_custom_operators(graph: Path, operator: str, domain: str) -> None:
    node = helper.make_node(operator, ["input_ids", "w"], ["mixed"], domain=domain)
    save_graph(graph, node=node, opsets=("", domain))
    assert f"{domain}.{operator}" in refusal(graph)


def test_custom_operator_inside_a_branch(graph: Path) -> None:
    out = [helper.make_tensor_value_info("z", TensorProto.INT64, None)]
    branch = helper.make_graph([helper.make_node("Mine", [], ["z"], domain="my.ops")], "b", [], out)
    node = helper.make_node("If", ["input_ids"], ["mixed"], then_branch=branch, else_branch=branch)
    save_graph(graph, node=node, opsets=("", "my.ops"))
    assert "my.ops.Mine" in refusal(graph)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x0a\xff\xff\xff"])
def test_damaged_graphs(graph: Path, content: bytes) -> None:
    (graph / "model.onnx").write_bytes(content)
    assert "model.onnx is damaged" in refusal(graph)


def test_genai_with_custom_operators(graph: Path) -> None:
    decoder = {"filename": "model.onnx", "session_options": {"custom_ops_library": "x"}}
    write(graph / "genai_config.json", {"model": {"decoder": decoder}})
    assert "custom_ops_library" in refusal(graph)


def gguf(path: Path, *, architecture: str = "llama", tokenizer: bool = True, template: bool = True) -> Path:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    if tokenizer:
        writer.add_token_list(["a", "b"])
    if template:
        writer.add_chat_template("{{ messages }}")
    writer.add_tensor("w", np.zeros((64, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_good_gguf_file(tmp_path: Path) -> None:
    found = inspect(gguf(tmp_path / "m.gguf"), [tmp_path], 10**9)
    assert (found.kind, found.task) == ("gguf", "text-generation")


def test_gguf_files(tmp_path: Path) -> None:
    assert "architecture rwkv7" in refusal(gguf(tmp_path / "a.gguf", architecture="rwkv7"))
    assert "has no tokenizer" in refusal(gguf(tmp_path / "b.gguf", tokenizer=False))
    assert "has no chat template" in refusal(gguf(tmp_path / "c.gguf", template=False))


@pytest.mark.parametrize("size", [0, 3, 4, 20, 100, 300, 5000])
def test_truncated_gguf(tmp_path: Path, size: int) -> None:
    path = gguf(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:size])
    assert "Copy or download it again" in refusal(path)


def test_checking_loads_no_model_library(model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workers.sources.kind import inspect;"
        f"inspect(Path({str(model)!r}), [Path({str(model.parent)!r})], 10**9);"
        "print(*{'torch', 'transformers', 'onnxruntime', 'onnx'} & set(sys.modules))"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (asked.returncode, asked.stdout.strip()) == (0, ""), asked.stderr
