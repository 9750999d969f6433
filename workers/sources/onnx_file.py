"""Is an ONNX graph whole, made of operators that onnxruntime has, and all of it in its own folder?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .files import neighbour
from .refusal import Refused

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
_LOADERS = {"EPContext"}  # reads a compiled blob from any path it names


def check(path: Path) -> Any:
    """The graph without its external data (an onnx.ModelProto). Raises Refused."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise Refused(f"{path.name} is damaged or no ONNX file: {error}. Export or copy it again.") from error
    if not model.graph.node or not model.graph.output:
        raise Refused(f"{path.name} is damaged: it holds no graph. Export or copy it again.")
    known = _DOMAINS | {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in known or node.op_type in _LOADERS:
            raise Refused(
                f"{path.name} needs the operator {node.domain or 'ai.onnx'}.{node.op_type}, which onnxruntime does not "
                "have by itself. Export the model without custom operators."
            )
    for tensor in _tensors(model):
        _check_external(path, tensor)
    return model


def _check_external(path: Path, tensor: Any) -> None:
    values = {entry.key: entry.value for entry in tensor.external_data}
    if tensor.data_location != 1 and not values:
        return
    data = neighbour(path.parent, values.get("location"))
    try:
        end = int(values.get("offset", 0)) + int(values.get("length", 0))
    except ValueError:
        end = -1
    if not 0 <= end <= data.stat().st_size:
        raise Refused(f"{data.name} is damaged: it ends before the tensor {tensor.name}. Copy it again.")


def _graphs(model: Any) -> Iterator[Any]:
    """The main graph, those inside its nodes, and the functions."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", [])
        for sparse in getattr(graph, "sparse_initializer", []):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
