"""The sentences for people that a source file can say, found by its syntax: an expression in one becomes `#0`, `#1`."""

import ast
from collections.abc import Iterator
from pathlib import Path

# What is raised or called with a sentence that ends on a page, and what returns one.
SAY = {
    "ArtifactError", "BackendError", "BadAdapter", "BadClip", "BadItem", "CannotFit", "EngineFull", "ExportError",
    "InvalidArtifact", "JobError", "JobRefused", "LoadRefused", "NoWorker", "NotDelivered", "Refused", "Stage",
    "Unreachable", "Unreadable", "ValueError", "VersionInUse", "__init__", "_Ended", "_damaged", "_end", "_fail",
    "_progress", "_refused", "fail", "progress",
}  # fmt: skip
RETURN = {"_reason", "_sentence", "breach", "reason", "why_not_sent"}


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Line and sentence."""
    for node in ast.walk(ast.parse(path.read_text())):
        for expression in _said_by(node):
            if " " in (text := _text(expression)):
                yield expression.lineno, text


def _said_by(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in SAY:
            return node.args
        case ast.Assign(targets=[ast.Name(id="message" | "reason") | ast.Subscript(slice=ast.Constant())]):
            return [node.value]
        case ast.Dict():
            return [value for key, value in zip(node.keys, node.values, strict=True) if _is_message(key)]
        case ast.FunctionDef(name=name) if name in RETURN:
            return [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
    return []


def _is_message(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value in {"message", "reason"}


def _text(expression: ast.expr) -> str:
    match expression:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add()):
            return _text(left)
        case ast.JoinedStr(values=parts):
            said = [part.value if isinstance(part, ast.Constant) else f"#{place}" for place, part in enumerate(parts)]
            return "".join(map(str, said))
    return ""
