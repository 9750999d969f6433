"""POST /v1/completions: OpenAI's older form. A prompt is read as it is, without a chat template.

Each prompt of a list is a request of its own; their answers are the choices, in the order of the prompts.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import APIKey
from apps.api.auth import check_model
from apps.api.errors import APIError, invalid
from apps.api.idempotency import Ticket
from apps.api.schemas import CompletionIn
from apps.api.streams import finish_reason, follow, sse, usage, whole_of
from apps.quotas import asking as quotas
from apps.serving import asking
from apps.serving.hub import Entry
from apps.serving.services import CHAT
from contracts.messages import Event, InferenceRequest

_PREFIX = "cmpl-"


@dataclass(frozen=True, slots=True)
class TextCompletion:
    requests: list[InferenceRequest]  # one a prompt
    payload: CompletionIn
    is_kept: bool = False

    @property
    def request_id(self) -> str:
        """Of the first prompt."""
        return self.requests[0].request_id

    async def whole(self) -> dict[str, Any]:
        """Wait for all ends. Raises APIError for an error event; stops the workers when the client leaves."""
        waiting = [asking.wait(request.request_id, is_kept=self.is_kept) for request in self.requests]
        answers = [whole_of(events) for events in await asyncio.gather(*waiting)]
        choices = [
            _choice(index, echo + answer.text, answer.finish_reason)
            for index, (echo, answer) in enumerate(zip(self._echoes(), answers, strict=True))
        ]
        return {**self._head(), "choices": choices, "usage": usage(*(answer.outcome for answer in answers))}

    async def chunks(self, after: int = 0) -> AsyncGenerator[bytes, None]:
        """Server-sent events, those of several prompts as they come. Only a stream of one prompt has event ids, behind
        `after` of which it goes on. Await the first before the response starts."""
        outcomes = []
        async with aclosing(self._entries(after)) as entries:
            async for index, (seq, event, data) in entries:
                seq = seq if len(self.requests) == 1 else 0
                if event == Event.STARTED:
                    yield self._chunk(seq, index, self._echoes()[index])
                elif event == Event.DELTA and data["text"]:
                    yield self._chunk(seq, index, data["text"])
                elif event == Event.DONE:
                    outcomes.append(data)
                    is_last = len(outcomes) == len(self.requests)
                    with_usage = is_last and self.payload.include_usage
                    yield self._chunk(0 if with_usage else seq, index, "", finish_reason(data))
                    if with_usage:
                        yield sse({**self._head(), "choices": [], "usage": usage(*outcomes)}, seq=seq)
        yield b"data: [DONE]\n\n"

    async def _entries(self, after: int) -> AsyncGenerator[tuple[int, Entry], None]:
        """Of all prompts, with the prompt's place. Raises the first APIError of any."""
        queue: asyncio.Queue[tuple[int, Entry | APIError | None]] = asyncio.Queue()

        async def read(index: int, request: InferenceRequest) -> None:
            try:
                async with aclosing(follow(request.request_id, after=after, is_kept=self.is_kept)) as entries:
                    async for entry in entries:
                        queue.put_nowait((index, entry))
                queue.put_nowait((index, None))
            except APIError as error:
                queue.put_nowait((index, error))

        readers = [asyncio.create_task(read(*pair)) for pair in enumerate(self.requests)]
        try:
            left = len(readers)
            while left:
                index, entry = await queue.get()
                if isinstance(entry, APIError):
                    raise entry
                if entry is None:
                    left -= 1
                else:
                    yield index, entry
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    def _echoes(self) -> list[str]:
        return [prompt if self.payload.echo else "" for prompt in self.payload.prompts]

    def _head(self) -> dict[str, Any]:
        first = self.requests[0]
        return {
            "id": _PREFIX + first.request_id,
            "object": "text_completion",
            "created": int(first.arrival_time),
            "model": first.deployment,
        }

    def _chunk(self, seq: int, index: int, text: str, finish_reason: str | None = None) -> bytes:
        return sse({**self._head(), "choices": [_choice(index, text, finish_reason)]}, seq=seq)


async def submit(key: APIKey, payload: CompletionIn, ticket: Ticket) -> TextCompletion:
    """Raises APIError for parameters that cannot be, and what quotas.submit raises; then none of the prompts is
    served."""
    check_model(key, payload.model)
    sent: list[InferenceRequest] = []
    try:
        for place, prompt in enumerate(payload.prompts):
            sent.append(await _send(key, payload, prompt, ticket.nth(place)))
    except BaseException as error:
        for request in sent:
            asking.give_up(request.request_id)
        if isinstance(error, ValueError):
            raise invalid(error) from error
        raise
    return TextCompletion(sent, payload, is_kept=bool(ticket.keep))


async def _send(key: APIKey, payload: CompletionIn, prompt: str, ticket: Ticket) -> InferenceRequest:
    return await quotas.submit(
        key,
        name=payload.model,
        task=CHAT,
        inputs={"prompt": prompt},
        parameters=payload.parameters(),
        sticky=payload.user and f"{key.pk}:{payload.user}",
        request_id=ticket.request_id,
        keep=ticket.keep,
        is_streamed=payload.stream,
    )


def _choice(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}
