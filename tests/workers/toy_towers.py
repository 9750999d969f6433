"""Two towers that mean something without any training: pictures and words as shares of eight colours.

A picture is the share of each colour among its pixels, a word is the colour that it names (in English or Chinese), so
that what a search has to find is known beforehand.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

COLOURS = {
    "red": (220, 30, 30), "green": (30, 170, 50), "blue": (30, 60, 220), "yellow": (240, 220, 40),
    "black": (10, 10, 10), "white": (245, 245, 245), "purple": (150, 40, 170), "orange": (245, 140, 20),
}  # fmt: skip
CHINESE = ("红", "绿", "蓝", "黄", "黑", "白", "紫", "橙")
SIDE = 16
_SHARPNESS = 60.0  # how strictly a pixel has to have the colour


def build(folder: Path) -> Path:
    """The artifact, with its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "text_model.onnx", _text_graph())
    _save(folder / "vision_model.onnx", _image_graph())
    _tokenizer().save(str(folder / "tokenizer.json"))
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json" and not path.name.startswith("cost-table")
    }
    manifest = {
        "format": 1, "name": "toy-colours", "title": "Colours", "task": "zero-shot-image-classification",
        "licence": "Apache-2.0",
        "models": {"text": "text_model.onnx", "image": "vision_model.onnx"},
        "inputs": {"text": ["input_ids", "attention_mask"], "image": ["pixel_values"]},
        "outputs": {"text": ["text_embeds"], "image": ["image_embeds"]},
        "tokenizer": "tokenizer.json", "pad_id": 0, "max_length": 16, "dimensions": len(COLOURS), "normalize": True,
        "logit_scale": 10.0, "files": files,
        "processor": {"do_resize": True, "size": {"height": SIDE, "width": SIDE}, "do_normalize": False, "resample": 0},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _words() -> list[str]:
    return ["[PAD]", "[UNK]", *COLOURS, *CHINESE]


def _tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(_words())}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Split("的", "removed")])
    return made


def _text_graph() -> onnx.GraphProto:
    """Sum of the words' rows over the real tokens; a word that is no colour is a little of each."""
    count = len(COLOURS)
    rows = np.concatenate([np.zeros((1, count)), np.full((1, count), 0.05), np.eye(count), np.eye(count)])
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["real", "last"], ["mask"]),
        helper.make_node("Mul", ["words", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "first"], ["text_embeds"], keepdims=0),
    ]
    constants = {"rows": rows.astype(np.float32), "last": np.array([2]), "first": np.array([1])}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    return _graph(nodes, inputs, "text_embeds", constants)


def _image_graph() -> onnx.GraphProto:
    """For each pixel a soft choice among the colours by distance, then the mean over pixels."""
    colours = np.array(list(COLOURS.values()), np.float32) / 255
    nodes = [
        helper.make_node("Reshape", ["pixel_values", "flat"], ["channels"]),
        helper.make_node("Transpose", ["channels"], ["pixels"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["pixels", "colours"], ["products"]),
        helper.make_node("Add", ["products", "offsets"], ["closeness"]),
        helper.make_node("Softmax", ["closeness"], ["choice"], axis=-1),
        helper.make_node("ReduceMean", ["choice", "first"], ["image_embeds"], keepdims=0),
    ]
    constants = {
        "flat": np.array([0, 3, -1]),
        "colours": (2 * _SHARPNESS * colours.T).astype(np.float32),
        "offsets": (-_SHARPNESS * (colours**2).sum(1)).astype(np.float32),
        "first": np.array([1]),
    }
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])]
    return _graph(nodes, inputs, "image_embeds", constants)


def _graph(nodes: list, inputs: list, output: str, constants: dict) -> onnx.GraphProto:
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", len(COLOURS)])]
    return helper.make_graph(
        nodes, "toy", inputs, outputs, [numpy_helper.from_array(value, name) for name, value in constants.items()]
    )


def _save(path: Path, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
