"""OpenAI-compatible endpoints under /v1."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import NinjaAPI
from ninja.responses import Response

from apps.accounts.models import APIKey, Scope
from apps.api import errors
from apps.api.auth import KeyAuth, check_model, server_timing
from apps.api.completions import Completion
from apps.api.embeddings import embeddings
from apps.api.parser import JSONParser
from apps.api.schemas import ChatCompletionIn, EmbeddingsIn
from apps.serving import queries, services

api = NinjaAPI(
    title="DeepSeek Web, OpenAI-compatible",
    version="1",
    parser=JSONParser(),
    docs_url=None,
    openapi_url=None,
)
errors.install(api)


@api.get("/models", auth=KeyAuth(Scope.MODELS))
async def list_models(request: HttpRequest) -> dict[str, Any]:
    return {"object": "list", "data": [_model(state) for state in (await _models(request)).values()]}


@api.get("/models/{name}", auth=KeyAuth(Scope.MODELS))
async def get_model(request: HttpRequest, name: str) -> dict[str, Any]:
    states = await _models(request)
    if name not in states:
        raise services.UnknownDeployment(name, sorted(states))
    return _model(states[name])


@api.post("/chat/completions", auth=KeyAuth(Scope.CHAT))
async def chat_completions(request: HttpRequest, payload: ChatCompletionIn) -> Any:
    completion = await sync_to_async(_submit)(request.auth, payload)  # type: ignore[attr-defined]
    timing = server_timing(request)
    if not payload.stream:
        return Response(await completion.whole(), headers={"Server-Timing": timing})
    chunks = completion.chunks()
    first = await anext(chunks)
    response = StreamingHttpResponse(_chain(first, chunks), content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    response["Server-Timing"] = timing
    return response


@api.post("/embeddings", auth=KeyAuth(Scope.EMBEDDINGS))
async def create_embeddings(request: HttpRequest, payload: EmbeddingsIn) -> Any:
    return Response(await embeddings(request.auth, payload))  # type: ignore[attr-defined]


async def _models(request: HttpRequest) -> dict[str, queries.DeploymentState]:
    """The deployments that the key may use, by name."""
    states = await sync_to_async(queries.deployment_states)()
    return {state.name: state for state in states if request.auth.may_use(state.name)}  # type: ignore[attr-defined]


def _submit(key: APIKey, payload: ChatCompletionIn) -> Completion:
    check_model(key, payload.model)
    sticky = payload.user and f"{key.pk}:{payload.user}"
    target = services.choose_deployment(payload.model, sticky=sticky)
    try:
        inference = services.build_request(
            target=target,
            inputs={"messages": [message.as_input() for message in payload.messages]},
            parameters=payload.parameters(),
            tenant=str(key.owner_id),
            conversation=sticky,
        )
    except ValueError as error:
        raise errors.invalid(error) from error
    services.submit(request=inference, owner_id=key.owner_id, limit=target.limit)
    return Completion(inference, target.name, payload.include_usage)


async def _chain(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    except errors.APIError as error:
        # The status is already sent; the error object goes where the next chunk would.
        yield b"data: " + json.dumps(error.body).encode() + b"\n\n"
    finally:
        await rest.aclose()


def _model(state: queries.DeploymentState) -> dict[str, Any]:
    return {
        "id": state.name,
        "object": "model",
        "created": int(state.created_at),
        "owned_by": "deepseek-web",
        "task": state.task,
        "state": state.state,
        "context_length": state.context_length,
    }
