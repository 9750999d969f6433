"""OpenAI-compatible endpoints under /v1."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja.responses import Response

from apps.accounts.models import APIKey, Scope
from apps.api import answers, chat_completions, text_completions
from apps.api.auth import KeyAuth, server_timing
from apps.api.embeddings import embeddings
from apps.api.idempotency import ticket_of
from apps.api.schemas import ChatCompletionIn, CompletionIn, EmbeddingsIn
from apps.api.site import API, ASKS, streams
from apps.api.streams import last_event_id, sse_response
from apps.quotas.admission import headers as ratelimit_headers
from apps.serving import queries, services

api = API(title="DeepSeek Web, OpenAI-compatible")
_TAGS = ["Models that answer"]
_CHUNKS = "With `stream`: chunks as OpenAI sends them, each with its id, and `data: [DONE]` at the end."


@api.get(
    "/models",
    auth=KeyAuth(Scope.MODELS),
    response=answers.ServedModels,
    tags=_TAGS,
    summary="List the models one may ask",
)
async def list_models(request: HttpRequest) -> Response:
    """The deployments that the key may use."""
    return Response({"object": "list", "data": [_model(state) for state in (await _models(request)).values()]})


@api.get("/models/{name}", auth=KeyAuth(Scope.MODELS), response=answers.ServedModel, tags=_TAGS, summary="Read a model")
async def get_model(request: HttpRequest, name: str) -> Response:
    states = await _models(request)
    if name not in states:
        raise services.UnknownDeployment(name, sorted(states))
    return Response(_model(states[name]))


@api.post(
    "/chat/completions",
    auth=KeyAuth(Scope.CHAT),
    response=answers.ChatCompletion,
    openapi_extra={**ASKS, **streams('{"choices": [{"delta": {"content": "Hello"}}]}', _CHUNKS)},
    tags=_TAGS,
    summary="Answer a chat",
)
async def create_chat_completion(request: HttpRequest, payload: ChatCompletionIn) -> Any:
    """As OpenAI's. What would change the answer and is not there is refused when it is asked for."""
    ticket = await ticket_of(request)
    return await _answer(request, payload, await chat_completions.submit(_key(request), payload, ticket))


@api.post(
    "/completions",
    auth=KeyAuth(Scope.CHAT),
    response=answers.TextCompletion,
    openapi_extra={**ASKS, **streams('{"choices": [{"text": "Hello"}]}', _CHUNKS)},
    tags=_TAGS,
    summary="Complete a text",
)
async def create_completion(request: HttpRequest, payload: CompletionIn) -> Any:
    """A prompt is read as it is, without a chat template. Each prompt of a list becomes a choice."""
    ticket = await ticket_of(request)
    return await _answer(request, payload, await text_completions.submit(_key(request), payload, ticket))


@api.post(
    "/embeddings",
    auth=KeyAuth(Scope.EMBEDDINGS),
    response=answers.Embeddings,
    openapi_extra=ASKS,
    tags=_TAGS,
    summary="Embed texts",
)
async def create_embeddings(request: HttpRequest, payload: EmbeddingsIn) -> Any:
    """A vector for each text, or for each list of token ids."""
    answer = await embeddings(_key(request), payload, await ticket_of(request))
    return Response(answer, headers=ratelimit_headers())


async def _answer(request: HttpRequest, payload: CompletionIn | ChatCompletionIn, completion: Any) -> Any:
    headers = {
        "Server-Timing": server_timing(request),
        "X-Request-Id": completion.request_id,
        **ratelimit_headers(),
    }
    if payload.stream:
        return await sse_response(completion.chunks(last_event_id(request)), headers)
    return Response(await completion.whole(), headers=headers)


def _key(request: HttpRequest) -> APIKey:
    return request.auth  # type: ignore[attr-defined,no-any-return]


async def _models(request: HttpRequest) -> dict[str, queries.DeploymentState]:
    """The deployments that the key may use, by name."""
    states = await sync_to_async(queries.deployment_states)()
    return {state.name: state for state in states if _key(request).may_use(state.name)}


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
