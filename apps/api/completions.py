"""A stream of a worker as OpenAI's chat completion, whole or in chunks."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from apps.api.errors import worker_error
from apps.serving import services
from apps.serving.hub import Entry, hub
from contracts.messages import Event, InferenceRequest

_PREFIX = "chatcmpl-"


@dataclass(frozen=True, slots=True)
class Completion:
    request: InferenceRequest
    model: str
    include_usage: bool = False

    async def whole(self) -> dict[str, Any]:
        """Wait for the end. Raises APIError for an error event; stops the worker when the client leaves."""
        text, logprobs, outcome = "", [], {}
        async with aclosing(self._events()) as events:
            async for _, event, data in events:
                if event == Event.DELTA:
                    text += data["text"]
                    logprobs += data.get("logprobs") or []
                elif event == Event.DONE:
                    outcome = data
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": {"content": logprobs} if "logprobs" in self.request.sampling_params else None,
            "finish_reason": _finish_reason(outcome),
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(outcome)}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events. The first is made only when the worker has taken the request, so that a
        refusal can still become an HTTP status: await it before the response starts."""
        async with aclosing(self._events()) as events:
            async for _, event, data in events:
                for chunk in self._chunks_of(event, data):
                    yield chunk
        yield b"data: [DONE]\n\n"

    def _chunks_of(self, event: str, data: dict[str, Any]) -> Iterator[bytes]:
        if event == Event.STARTED:
            yield self._chunk({"role": "assistant", "content": ""})
        elif event == Event.DELTA and (data["text"] or data.get("logprobs")):
            yield self._chunk({"content": data["text"]}, logprobs=data.get("logprobs"))
        elif event == Event.DONE:
            yield self._chunk({}, finish_reason=_finish_reason(data))
            if self.include_usage:
                yield _sse({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(data)})

    async def _events(self) -> AsyncGenerator[Entry, None]:
        finished = False
        try:
            async with aclosing(hub().follow(self.request.request_id)) as batches:
                async for entries in batches:
                    for entry in entries:
                        finished = finished or entry[1] in (Event.DONE, Event.ERROR)
                        if entry[1] == Event.ERROR:
                            raise worker_error(entry[2])
                        yield entry
        finally:
            if not finished:
                await sync_to_async(services.stop, thread_sensitive=False)(request_id=self.request.request_id)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": _PREFIX + self.request.request_id,
            "object": kind,
            "created": int(self.request.arrival_time),
            "model": self.model,
        }

    def _chunk(
        self, delta: dict[str, str], *, finish_reason: str | None = None, logprobs: list[Any] | None = None
    ) -> bytes:
        content = {"content": logprobs} if logprobs else None
        choice = {"index": 0, "delta": delta, "logprobs": content, "finish_reason": finish_reason}
        return _sse({**self._head("chat.completion.chunk"), "choices": [choice]})


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _finish_reason(outcome: dict[str, Any]) -> str:
    # OpenAI has no word for an aborted answer; what is there is complete as far as it goes.
    return "length" if outcome.get("finish_reason") == "length" else "stop"


def _usage(outcome: dict[str, Any]) -> dict[str, Any]:
    prompt, completion = outcome.get("prompt_tokens", 0), outcome.get("completion_tokens", 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": outcome.get("cached_tokens", 0)},
    }
