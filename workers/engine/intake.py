"""From a request to a sequence: tokens, limits, the state an earlier attempt left. Callers' thread."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from contracts.messages import ErrorType, FinishReason, InferenceRequest, Outcome, SamplingParams

from .detokenizer import Vocabulary
from .output import TextStream
from .sampling import TokenCounts, wants_counts
from .sequence import Sequence


class ChatEncoder(Protocol):
    """What the engine needs of a tokenizer."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def eos_ids(self) -> frozenset[int]: ...

    def encode(self, inputs: dict[str, Any]) -> list[int]:
        """Prompt token ids. Raises ValueError with a sentence for the user."""


class Refused(Exception):
    """A request that is not even queued; becomes an ERROR event."""

    def __init__(self, error: ErrorType, message: str, **details: Any) -> None:
        super().__init__(message)
        self.error = error
        self.details = details
        self.outcome = Outcome(FinishReason.ERROR, prompt_tokens=details.get("prompt_tokens", 0))


class Intake:
    def __init__(self, encoder: ChatEncoder, context_length: int) -> None:
        self._encoder = encoder
        self._context_length = context_length

    def sequence(self, request: InferenceRequest, now: float) -> Sequence:
        """Raises Refused."""
        try:
            params = SamplingParams.from_dict(request.sampling_params)
            prompt = self._encoder.encode(request.inputs)
        except (ValueError, TypeError) as error:
            raise Refused(ErrorType.INVALID_REQUEST, str(error)) from error
        self._check_length(len(prompt), params.max_tokens)
        stream = self.stream(request, params.stop)
        stream.resume(request.resume_token_ids, request.resume_text_length)
        return Sequence(
            request=request,
            params=params,
            stream=stream,
            token_ids=prompt + request.resume_token_ids,
            prompt_tokens=len(prompt),
            max_length=min(len(prompt) + params.max_tokens, self._context_length),
            seed=_seed(request, params),
            eos_ids=frozenset() if params.ignore_eos else self._encoder.eos_ids,
            counts=_counts(params, prompt, request.resume_token_ids),
            arrival_time=request.arrival_time or now,
        )

    def stream(self, request: InferenceRequest, stop: list[str]) -> TextStream:
        return TextStream(request.request_id, self._encoder.vocabulary, stop)

    def _check_length(self, prompt_tokens: int, max_tokens: int) -> None:
        if not prompt_tokens:
            raise Refused(ErrorType.INVALID_REQUEST, "The prompt is empty.")
        limit = self._context_length
        if prompt_tokens >= limit:
            raise Refused(
                ErrorType.CONTEXT_LENGTH_EXCEEDED,
                f"The prompt has {prompt_tokens} tokens; this model reads at most {limit - 1}. Shorten it.",
                prompt_tokens=prompt_tokens,
                max_tokens=max_tokens,
                context_length=limit,
            )


def _seed(request: InferenceRequest, params: SamplingParams) -> int:
    """Without a seed, one that looks random and that another attempt of the request finds again."""
    if params.seed is not None:
        return params.seed
    return int.from_bytes(hashlib.blake2b(request.request_id.encode(), digest_size=8).digest(), "little")


def _counts(params: SamplingParams, prompt: list[int], completion: list[int]) -> TokenCounts | None:
    if not wants_counts(params):
        return None
    counts = TokenCounts(prompt)
    for token_id in completion:
        counts.add(token_id)
    return counts
