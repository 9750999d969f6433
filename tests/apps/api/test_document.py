"""The OpenAPI document of both APIs."""

import json
from typing import Any

import pytest
from django.test import Client
from openapi_spec_validator import validate

from apps.accounts.models import Scope
from apps.api.document import document
from tests.access.routes import operations

OPERATIONS = [(path, method, one) for path, methods in document()["paths"].items() for method, one in methods.items()]
NAMES = [f"{method} {path}" for path, method, _ in OPERATIONS]
MADE = {"create_conversation", "send_message", "regenerate_message", "create_temporary_chat", "create_comparison",
        "save_preset", "create_key", "rotate_key", "create_import", "create_deployment", "add_revision",
        "create_chat_completion", "create_completion", "create_embeddings", "create_classification", "create_team",
        "create_training", "create_invitation", "create_collection", "create_asset", "create_sensor", "create_detector",
        "fit_detector", "create_rule", "create_silence", "ask_classifier"}  # fmt: skip


def test_it_is_an_openapi_document_and_anybody_may_have_it(client: Client) -> None:
    told = client.get("/api/v1/openapi.json").json()
    validate(told)
    assert told == json.loads(json.dumps(document()))


def test_it_has_every_operation_once() -> None:
    assert len(OPERATIONS) == len({(method, route) for method, route, _ in operations()})
    names = [one["operationId"] for _, _, one in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=NAMES)
def test_each_tells_its_scope_its_group_and_its_refusals(path: str, method: str, operation: dict[str, Any]) -> None:
    ((name, scopes),) = operation["security"][0].items()
    assert (name, len(scopes), scopes[0] in Scope.values) == ("key", 1, True)
    assert len(operation["tags"]) == 1
    assert operation["summary"]
    answers = operation["responses"]
    assert {"401", "403", "500", "503"} < set(answers)
    assert ("404" in answers) >= ("{" in path)
    assert {"400", "413"} <= set(answers) or "requestBody" not in operation
    good = [answer for status, answer in answers.items() if status < "300"]
    assert all("content" in answer for answer in good if answer["description"] != "No Content")


def test_what_makes_something_takes_an_idempotency_key() -> None:
    taking = {
        one["operationId"]
        for _, _, one in OPERATIONS
        if any(parameter["name"] == "Idempotency-Key" for parameter in one["parameters"])
    }
    assert taking == MADE


def test_lists_have_one_form() -> None:
    schemas = document()["components"]["schemas"]
    pages = {name: schema for name, schema in schemas.items() if name.startswith("Page_")}
    assert len(pages) == 36
    assert {tuple(sorted(schema["required"])) for schema in pages.values()} == {("data", "next")}
