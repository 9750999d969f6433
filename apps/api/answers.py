"""What the OpenAI-compatible API and its native neighbours answer, for the document: answers are not checked again."""

from typing import Any, Literal

from ninja import Field, Schema


class ServedModel(Schema):
    id: str = Field(description="Name of the deployment.")
    object: Literal["model"]
    created: int
    owned_by: str
    task: str
    state: Literal["PENDING", "LOADING", "WARMING", "READY", "FAILED"]
    context_length: int


class ServedModels(Schema):
    object: Literal["list"]
    data: list[ServedModel]


class CachedTokens(Schema):
    cached_tokens: int


class Usage(Schema):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class Said(Schema):
    role: Literal["assistant"]
    content: str


class Logprobs(Schema):
    content: list[dict[str, Any]]


class ChatChoice(Schema):
    index: int
    message: Said
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(Schema):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextChoice(Schema):
    text: str
    index: int
    logprobs: None
    finish_reason: Literal["stop", "length"]


class TextCompletion(Schema):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class Embedding(Schema):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str = Field(description="A string is base64 of little-endian float32.")


class EmbeddingsUsage(Schema):
    prompt_tokens: int
    total_tokens: int


class Embeddings(Schema):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


class Label(Schema):
    label: str
    score: float


class PromptTokens(Schema):
    prompt_tokens: int


class Classification(Schema):
    model: str
    results: list[list[Label]] = Field(description="For each text its labels, the highest score first.")
    usage: PromptTokens


class TimelineStep(Schema):
    event: Literal["received", "sent_again", "claimed", "started", "first_token", "ended"]
    at: float = Field(description="Seconds since the epoch.")


class RequestTimeline(Schema):
    request_id: str
    deployment: str
    revision: str
    task: str
    state: str = Field(description="reserved, queued, running or done.")
    worker: str
    attempt: int
    seq: int = Field(description="Of the newest event.")
    are_events_kept: bool
    steps: list[TimelineStep]
    outcome: dict[str, Any]
    error: dict[str, Any]


class Stopping(Schema):
    id: str
    stopping: bool = Field(description="False when it has ended already.")
