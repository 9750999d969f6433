"""What a key may: by scope, and by deployment."""

from collections import defaultdict
from typing import Any

import polib
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.keys import create_api_key
from apps.accounts.models import Scope, User
from apps.api.auth import KeyAuth
from apps.serving.models import Deployment
from tests.access.routes import operations, path
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)

# A body that is taken, for every operation that names a model.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "echo", "messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"model": "echo", "prompt": "hi"},
    "/v1/embeddings": {"model": "echo", "input": "hi"},
    "/api/v1/classify": {"model": "echo", "texts": ["hi"]},
    "/api/v1/classify/files": {"model": "echo"},  # and a file
    "/api/v1/conversations": {"model": "echo"},
    "/api/v1/search/collections": {"model": "echo", "name": "Ours"},
    "/api/v1/search/indexes": {"model": "echo", "collection": "11111111-1111-4111-8111-111111111111"},
    "/api/v1/search/questions": {
        "model": "echo",
        "question": "red?",
        "picture": "11111111-1111-4111-8111-111111111111",
    },
    "/api/v1/comparisons": {"prompt": "hi", "lanes": [{"model": "echo"}, {"model": "echo"}]},
    "/api/v1/temporary-chats": {"model": "echo", "messages": [{"role": "user", "content": "hi"}]},
}
# Nobody's, for every argument of an address.
ANYTHING = defaultdict(lambda: "1") | dict.fromkeys(
    (
        "conversation_id",
        "message_id",
        "comparison_id",
        "key_id",
        "job_id",
        "batch_id",
        "collection_id",
        "picture_id",
        "upload_id",
        "query_picture_id",
        "search_id",
        "asset_id",
        "readings_upload_id",
        "incident_id",
        "rule_id",
        "silence_id",
        "classifier_id",
    ),
    "11111111-1111-4111-8111-111111111111",
)
OPERATIONS = [(method, route, operation) for method, route, operation in operations()]
NAMES = [f"{method} {route}" for method, route, _ in OPERATIONS]


def bearer(owner: User, **values: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_api_key(owner=owner, name='k', **values)[1]}"}


@pytest.mark.parametrize(("method", "route", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_names_a_scope_and_refuses_keys_without_it(
    method: str, route: str, operation: Any, client: Client
) -> None:
    """auth=KeyAuth(Scope.…) on the operation; BODIES has nothing to do with it."""
    assert [type(auth) for auth in operation.auth_callbacks] == [KeyAuth]
    scope = operation.auth_callbacks[0].scope
    boss = User.objects.create_superuser("boss@example.com")
    others = [other for other in Scope.values if other != scope]
    answer = client.generic(
        method, path(route, ANYTHING), "{}", "application/json", headers=bearer(boss, scopes=others)
    )
    assert answer.status_code == 403
    assert answer.json() == {
        "error": {
            "message": f"This key lacks the scope '{scope.value}'; it has {', '.join(others)}. "
            "Make one with it on the keys page.",
            "type": "insufficient_permissions",
            "param": None,
            "code": "missing_scope",
            "scope": scope.value,
        }
    }


def _names_a_model(operation: Any) -> bool:
    bodies = [model.model_json_schema().get("$defs", {}) for model in operation.models]
    return any("model" in schema.get("properties", {}) for defined in bodies for schema in defined.values())


ASKING = sorted({route for method, route, operation in OPERATIONS if method == "POST" and _names_a_model(operation)})


@pytest.mark.parametrize("route", ASKING)
def test_a_model_that_the_key_is_not_for_does_not_exist(
    route: str, deployment: Deployment, worker: FakeWorker, owner: User, client: Client
) -> None:
    assert route in BODIES, f"add a body for {route} to BODIES"
    answers = {
        name: client.post(route, **_sent(route), headers=bearer(owner, deployments=[name]))
        for name in ("echo", "other")
    }
    assert answers["echo"].status_code != 404
    assert (answers["other"].status_code, answers["other"].json()["error"]["code"]) == (404, "model_not_found")
    assert answers["other"].json()["error"]["available"] == ["other"]


def _sent(route: str) -> dict[str, Any]:
    if route.endswith("/files"):
        return {"data": {**BODIES[route], "file": SimpleUploadedFile("texts.txt", b"hi")}}
    return {"data": BODIES[route], "content_type": "application/json"}


def test_models_are_those_of_the_key(deployment: Deployment, worker: FakeWorker, owner: User, client: Client) -> None:
    seen, blind = bearer(owner, deployments=["echo"]), bearer(owner, deployments=["other"])
    assert [model["id"] for model in client.get("/v1/models", headers=seen).json()["data"]] == ["echo"]
    assert client.get("/v1/models", headers=blind).json()["data"] == []
    assert client.get("/v1/models/echo", headers=seen).status_code == 200
    assert client.get("/v1/models/echo", headers=blind).json()["error"]["code"] == "model_not_found"


def test_metrics_want_the_scope_of_administrators(client: Client) -> None:
    boss = User.objects.create_superuser("boss@example.com")
    scopes = [scope for scope in Scope.values if scope != "admin"]
    assert client.get("/metrics", headers=bearer(boss, scopes=scopes)).status_code == 404
    assert client.get("/metrics", headers=bearer(boss, scopes=["admin"])).status_code == 200


@pytest.mark.parametrize("language", ["en", "zh_Hans"])
def test_the_label_of_the_account_names_all_that_it_reaches(language: str) -> None:
    reached = {route.split("/")[3] for _, route, operation in OPERATIONS if _scope_of(operation) == Scope.ACCOUNT}
    label = str(Scope.ACCOUNT.label)
    words = dict(zip(reached, reached, strict=True))
    if language == "zh_Hans":  # as it is written; nothing has to be compiled first
        catalogue = polib.pofile(str(settings.LOCALE_PATHS[0] / language / "LC_MESSAGES/django.po"))
        label = catalogue.find(label).msgstr
        words = {"profile": "资料", "keys": "密钥", "usage": "用量", "teams": "团队", "invitations": "邀请"}
    assert {name for name in reached if words[name] in label} == reached


def _scope_of(operation: Any) -> Scope:
    return operation.auth_callbacks[0].scope


def test_wrong_keys_are_slowed_by_address_and_right_ones_are_not(
    client: Client, owner: User, worker: FakeWorker
) -> None:
    _, secret = create_api_key(owner=owner, name="k")

    def ask(key: str, address: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return client.get("/v1/models", headers=headers, REMOTE_ADDR=address).status_code

    answers = [ask(f"dsw-{number}", "192.0.2.1") for number in range(61)]
    assert answers == [401] * 60 + [429]
    assert (ask(secret, "192.0.2.1"), ask("dsw-wrong", "192.0.2.2")) == (200, 401)
    refused = client.get("/v1/models", headers={"Authorization": "Bearer dsw-wrong"}, REMOTE_ADDR="192.0.2.1")
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    asked = {"Authorization": "Bearer dsw-wrong"}
    assert client.get("/metrics", headers=asked, REMOTE_ADDR="192.0.2.1").status_code == 429


# As OpenAI's clients send them, fields that nobody knows are left out of account.
OPEN = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/api/v1/classify"}
# Whose something is and what somebody may: not for a body, but where that is what the operation is about.
PROTECTED = {"id", "owner", "owner_id", "role", "scopes", "is_staff", "is_superuser", "password", "created_at"}
ABOUT = {
    ("/api/v1/keys", "scopes"),
    ("/api/v1/invitations", "role"),
    ("/api/v1/teams/<int:team_id>/members", "role"),
    ("/api/v1/teams/members/<int:membership_id>", "role"),
}


def _bodies(operation: Any) -> list[dict[str, Any]]:
    """The schemas of the body and of what is in it."""
    sent = [model for model in operation.models if model.__ninja_param_source__ in ("body", "form")]
    defined = [one for model in sent for one in model.model_json_schema().get("$defs", {}).values()]
    return [schema for schema in defined if "properties" in schema]


@pytest.mark.parametrize(("method", "route", "operation"), OPERATIONS, ids=NAMES)
def test_a_body_has_named_fields_only(method: str, route: str, operation: Any) -> None:
    for schema in _bodies(operation):
        assert route in OPEN or schema["additionalProperties"] is False
        if schema["title"] != "Said":  # a message, whose role is who speaks
            found = {(route, name) for name in PROTECTED & schema["properties"].keys()}
            assert route in OPEN or found <= ABOUT


@pytest.mark.parametrize("extra", [{"role": "owner"}, {"is_superuser": True}, {"id": 1}, {"password": "x"}])
def test_a_field_that_nobody_offered_is_refused(extra: dict[str, Any], owner: User, client: Client) -> None:
    before = User.objects.filter(pk=owner.pk).values().get()
    body = {"name": "Ann", **extra}
    answer = client.patch("/api/v1/profile", body, "application/json", headers=bearer(owner))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(extra)))
    assert User.objects.filter(pk=owner.pk).values().get() == before
