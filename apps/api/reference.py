"""The OpenAPI document as people read it: operations in sections, with their fields, answers and examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from apps.api.document import document
from apps.api.examples import curl, example, python

Schema = dict[str, Any]
_DEEPEST = 3  # objects inside of objects that are shown
_LIMITS = (("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"),
           ("minLength", "not empty"), ("maxLength", "at most {:,} characters"),
           ("minItems", "at least {}"), ("maxItems", "at most {:,}"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    place: str  # path, query, header; empty in a body
    is_required: bool
    text: str
    limits: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    kinds: str  # content types
    fields: list[Field]

    @property
    def is_error(self) -> bool:
        return self.status >= "400"


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    title: str
    text: str
    scope: str
    parameters: list[Field]
    body_kind: str  # content type; empty without a body
    body: list[Field]
    answers: list[Answer]
    curl: str
    python: str

    def has(self, words: list[str]) -> bool:
        told = f"{self.method} {self.path} {self.title} {self.text} {self.scope}".lower()
        return all(word in told for word in words)


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    operations: list[Operation]


def sections(*, words: str = "", base_url: str = "") -> list[Section]:
    """Those with an operation that has every word."""
    wanted = words.lower().split()
    kept = [Section(one.title, [each for each in one.operations if each.has(wanted)]) for one in _all(base_url)]
    return [section for section in kept if section.operations]


@lru_cache(maxsize=4)
def _all(base_url: str) -> list[Section]:
    found: dict[str, list[Operation]] = {}
    for path, methods in document()["paths"].items():
        for method, details in methods.items():
            found.setdefault(details["tags"][0], []).append(_operation(method.upper(), path, details, base_url))
    return [Section(title, operations) for title, operations in found.items()]


def _operation(method: str, path: str, details: dict[str, Any], base_url: str) -> Operation:
    bodies: dict[str, Any] = details.get("requestBody", {}).get("content", {})
    body_kind = next(iter(bodies), "")
    schema: Schema = bodies[body_kind]["schema"] if body_kind else {}
    sent = example(resolved, schema) if body_kind else None
    return Operation(
        id=details["operationId"],
        method=method,
        path=path,
        title=details["summary"],
        text=details.get("description", ""),
        scope=details["security"][0]["key"][0],
        parameters=[_parameter(one) for one in details["parameters"]],
        body_kind=body_kind,
        body=list(fields_of(schema)),
        answers=[_answer(status, one) for status, one in details["responses"].items()],
        curl=curl(method, base_url + path, sent, body_kind),
        python=python(method, base_url + path, sent, body_kind),
    )


def resolved(schema: Schema) -> Schema:
    """What a $ref names, also as the only one of allOf; what stands beside it is kept."""
    if len(schema.get("allOf", ())) == 1:
        schema = {**{key: value for key, value in schema.items() if key != "allOf"}, **schema["allOf"][0]}
    while "$ref" in schema:
        *_, kind, name = schema["$ref"].split("/")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**document()["components"][kind][name], **beside}
    return schema


def fields_of(schema: Schema, prefix: str = "", depth: int = 0) -> Iterator[Field]:
    """Of an object, what is required first, each before the objects in it: `lanes[].model`."""
    schema = resolved(schema)
    required = set(schema.get("required", ()))
    for name, one in sorted(schema.get("properties", {}).items(), key=lambda pair: pair[0] not in required):
        yield _field(prefix + name, one, "", name in required)
        inside, mark = _inside(one)
        if inside and depth < _DEEPEST:
            yield from fields_of(inside, f"{prefix}{name}{mark}.", depth + 1)


def _inside(schema: Schema) -> tuple[Schema, str]:
    """The object that a field holds, or a list of it."""
    schema = resolved(schema)
    if "items" in schema:
        inside, mark = _inside(schema["items"])
        return inside, f"[]{mark}"
    options = [resolved(one) for one in schema.get("anyOf", ())]
    return next((one for one in [schema, *options] if "properties" in one), {}), ""


def _parameter(parameter: dict[str, Any]) -> Field:
    return _field(parameter["name"], parameter["schema"], parameter["in"], parameter["required"],
                  parameter.get("description", ""))  # fmt: skip


def _field(name: str, schema: Schema, place: str, is_required: bool, text: str = "") -> Field:
    whole = resolved(schema)
    text = text or schema.get("description", "")
    return Field(name, kind_of(whole), place, is_required, text, ", ".join(_limits(whole)))


def kind_of(schema: Schema) -> str:
    schema = resolved(schema)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(kind_of(one) for one in options))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    kind = schema.get("type", "anything")
    return schema.get("format") or (" or ".join(kind) if isinstance(kind, list) else kind)


def _limits(schema: Schema) -> Iterator[str]:
    for one in [schema, *schema.get("anyOf", ())]:
        yield from (text.format(one[name]) for name, text in _LIMITS if name in one)
    default = schema.get("default")
    if default not in (None, "", [], {}) and not isinstance(default, dict):
        yield f"default {str(default).lower() if isinstance(default, bool) else default}"


def _answer(status: str, answer: dict[str, Any]) -> Answer:
    answer = resolved(answer)
    content = answer.get("content", {})
    fields = list(fields_of(content.get("application/json", {}).get("schema", {}))) if status < "400" else []
    told = [one["schema"].get("description", "") for one in content.values()]
    text = " ".join([answer["description"], *filter(None, told)])
    return Answer(status, text, ", ".join(content), fields)
