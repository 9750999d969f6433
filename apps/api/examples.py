"""Examples of a request, in curl and Python, from what its schema requires."""

import json
from collections.abc import Callable
from pprint import pformat
from typing import Any

Schema = dict[str, Any]
_TEXTS = {"uuid": "6f1c0a3e-0b1d-4c51-9a6e-2f5d8f3f9b10", "date-time": "2030-01-31T12:00:00Z", "date": "2030-01-31"}
_WORDS = {"model": "smollm2-360m", "name": "nightly-report", "text": "Why is the sky blue?", "content": "Hello",
          "prompt": "Why is the sky blue?", "input": "Hello", "source": "smollm2.gguf"}  # fmt: skip
_MULTIPART = "multipart/form-data"


def example(resolved: Callable[[Schema], Schema], schema: Schema, name: str = "") -> Any:
    """The smallest value that the schema takes; `resolved` follows a $ref."""
    schema = resolved(schema)
    for known in ("const", "enum"):
        if known in schema:
            return schema[known] if known == "const" else schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return example(resolved, options[0], name)
    match schema.get("type"):
        case "object" if "properties" in schema:
            wanted = _wanted(schema)
            return {key: example(resolved, schema["properties"][key], key) for key in wanted}
        case "object":
            return {"1": 100}
        case "array":
            return [example(resolved, schema["items"], name)] * schema.get("minItems", 1)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return _TEXTS.get(schema.get("format", ""), _WORDS.get(name, "text"))


def _wanted(schema: Schema) -> list[str]:
    """What is required; when that is nothing, the first that might be named."""
    required = [key for key in schema["properties"] if key in schema.get("required", ())]
    optional = [key for key in schema["properties"] if key in ("text", "model", "title", "name", "overlap_hours")]
    return required or optional[:1]


def curl(method: str, url: str, body: Any, kind: str) -> str:
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}{url}", '-H "Authorization: Bearer $KEY"']
    if kind == _MULTIPART:
        lines += [f"-F {key}={_part(key, value)}" for key, value in body.items()]
    elif kind:
        lines += ['-H "Content-Type: application/json"', f"-d '{json.dumps(body, ensure_ascii=False)}'"]
    return " \\\n  ".join(lines)


def python(method: str, url: str, body: Any, kind: str) -> str:
    sent = ""
    if kind == _MULTIPART:
        fields = {key: value for key, value in body.items() if key != "upload"}
        sent = f'    data={fields!r},\n    files={{"upload": open("model.gguf", "rb")}},\n'
    elif kind:
        sent = f"    json={pformat(body, width=80, sort_dicts=False).replace(chr(10), chr(10) + '    ')},\n"
    return (
        "import os, requests\n\n"
        f"answer = requests.{method.lower()}(\n"
        f'    "{url}",\n'
        '    headers={"Authorization": f"Bearer {os.environ[\'KEY\']}"},\n'
        f"{sent})\n"
        "answer.raise_for_status()\n"
        f"print(answer.{'status_code' if method == 'DELETE' else 'text'})"
    )


def _part(key: str, value: Any) -> str:
    return "@model.gguf" if key == "upload" else str(value)
