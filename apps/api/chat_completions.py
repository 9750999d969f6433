"""POST /v1/chat/completions: a request of text-generation as OpenAI's chat completion, whole or in chunks."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import APIKey
from apps.api.auth import check_model
from apps.api.errors import invalid
from apps.api.idempotency import Ticket
from apps.api.schemas import ChatCompletionIn
from apps.api.streams import finish_reason, follow, sse, usage, whole_of
from apps.quotas import asking as quotas
from apps.serving import asking
from apps.serving.services import CHAT
from contracts.messages import Event, InferenceRequest

_PREFIX = "chatcmpl-"


@dataclass(frozen=True, slots=True)
class ChatCompletion:
    request: InferenceRequest
    include_usage: bool = False
    is_kept: bool = False

    @property
    def request_id(self) -> str:
        return self.request.request_id

    async def whole(self) -> dict[str, Any]:
        """Wait for the end. Raises APIError for an error event; stops the worker when the client leaves."""
        whole = whole_of(await asking.wait(self.request.request_id, is_kept=self.is_kept))
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": whole.text},
            "logprobs": {"content": whole.logprobs} if "logprobs" in self.request.sampling_params else None,
            "finish_reason": whole.finish_reason,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage(whole.outcome)}

    async def chunks(self, after: int = 0) -> AsyncGenerator[bytes, None]:
        """Server-sent events behind seq `after`. The first is made only when the worker has taken the request, so that
        a refusal can still become an HTTP status: await it before the response starts."""
        async with aclosing(follow(self.request.request_id, after=after, is_kept=self.is_kept)) as entries:
            async for seq, event, data in entries:
                for chunk in self._chunks_of(seq, event, data):
                    yield chunk
        yield b"data: [DONE]\n\n"

    def _chunks_of(self, seq: int, event: str, data: dict[str, Any]) -> Iterator[bytes]:
        """The last chunk of an entry carries its seq: who has it has seen all of the entry."""
        if event == Event.STARTED:
            yield self._chunk(seq, {"role": "assistant", "content": ""})
        elif event == Event.DELTA and (data["text"] or data.get("logprobs")):
            yield self._chunk(seq, {"content": data["text"]}, logprobs=data.get("logprobs"))
        elif event == Event.DONE:
            yield self._chunk(0 if self.include_usage else seq, {}, finish_reason=finish_reason(data))
            if self.include_usage:
                yield sse({**self._head("chat.completion.chunk"), "choices": [], "usage": usage(data)}, seq=seq)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": _PREFIX + self.request.request_id,
            "object": kind,
            "created": int(self.request.arrival_time),
            "model": self.request.deployment,
        }

    def _chunk(
        self, seq: int, delta: dict[str, str], *, finish_reason: str | None = None, logprobs: list[Any] | None = None
    ) -> bytes:
        content = {"content": logprobs} if logprobs else None
        choice = {"index": 0, "delta": delta, "logprobs": content, "finish_reason": finish_reason}
        return sse({**self._head("chat.completion.chunk"), "choices": [choice]}, seq=seq)


async def submit(key: APIKey, payload: ChatCompletionIn, ticket: Ticket) -> ChatCompletion:
    """Raises APIError for parameters that cannot be, and what quotas.submit raises."""
    check_model(key, payload.model)
    try:
        request = await quotas.submit(
            key,
            name=payload.model,
            task=CHAT,
            inputs={"messages": [message.as_input() for message in payload.messages]},
            parameters=payload.parameters(),
            sticky=payload.user and f"{key.pk}:{payload.user}",
            request_id=ticket.request_id,
            keep=ticket.keep,
            is_streamed=payload.stream,
        )
    except ValueError as error:
        raise invalid(error) from error
    return ChatCompletion(request, payload.include_usage, is_kept=bool(ticket.keep))
