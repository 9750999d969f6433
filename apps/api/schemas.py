"""Bodies of the OpenAI-compatible API. Unknown fields are taken and ignored, as OpenAI's own clients send many."""

from typing import Any, Literal

from ninja import Field, Schema
from pydantic import ConfigDict, field_validator


class _Body(Schema):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class TextPart(_Body):
    type: Literal["text"]
    text: str


class ChatMessage(_Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def as_input(self) -> dict[str, str]:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class StreamOptions(_Body):
    include_usage: bool = False


class ChatCompletionIn(_Body):
    model: str = Field(min_length=1, max_length=200)
    messages: list[ChatMessage] = Field(min_length=1, max_length=2000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, ge=0.1, le=10)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    n: Literal[1] = 1
    user: str = Field("", max_length=200)

    @field_validator("stop")
    @classmethod
    def _is_bounded(cls, stop: str | list[str] | None) -> str | list[str] | None:
        stops = [stop] if isinstance(stop, str) else stop or []
        if len(stops) > 16 or any(not 0 < len(text) <= 256 for text in stops):
            raise ValueError("takes at most 16 strings of 1 to 256 characters")
        return stop

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def parameters(self) -> dict[str, Any]:
        """As SamplingParams names them; what the client left out is left out."""
        names = "temperature top_p top_k min_p frequency_penalty presence_penalty repetition_penalty seed".split()
        values = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        values["stop"] = self.stops
        if longest := self.max_completion_tokens or self.max_tokens:
            values["max_tokens"] = min(longest, 1_000_000)
        if self.logprobs:
            values["logprobs"] = self.top_logprobs or 0
        return values
