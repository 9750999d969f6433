"""Bodies of the OpenAI-compatible API. Fields that nobody knows are taken and ignored, as OpenAI's own clients send
many; those that would change the answer and that we do not have are refused. docs/api.md lists both."""

from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import AfterValidator, ConfigDict, Discriminator, Tag, field_validator, model_validator


class _Body(Schema):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def _only(*neutral: Any) -> Any:
    """A parameter that would change the answer and that we do not have: taken with a value that asks for nothing."""

    def check(value: Any) -> Any:
        if value is None or value in neutral:
            return value
        raise ValueError("is not supported here" + (f", other than {neutral[0]!r}" if neutral and neutral[0] else ""))

    return Annotated[Any, AfterValidator(check), Field(description="Not supported: refused when it asks for anything.")]


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


class Parameters(_Body):
    """How an answer is drawn. What is left out is left to the model."""

    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, ge=0.1, le=10)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None

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
    def longest(self) -> int | None:
        """Tokens of the answer; None leaves it to the worker."""
        return self.max_tokens

    def parameters(self) -> dict[str, Any]:
        """As SamplingParams names them; what the client left out is left out."""
        names = "temperature top_p top_k min_p frequency_penalty presence_penalty repetition_penalty seed".split()
        values = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        values["stop"] = self.stops
        if self.longest:
            values["max_tokens"] = min(self.longest, 1_000_000)
        return values


class _Sampling(Parameters):
    """What chat and text completions share."""

    model: str = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1
    user: str = Field("", max_length=200, description="Requests with the same value find their prefix again.")
    logit_bias: _only({}) = None  # type: ignore[valid-type]

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatCompletionIn(_Sampling):
    messages: list[ChatMessage] = Field(min_length=1, max_length=2000)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: _only([]) = None  # type: ignore[valid-type]
    tool_choice: _only("none", "auto") = None  # type: ignore[valid-type]
    functions: _only([]) = None  # type: ignore[valid-type]
    function_call: _only("none", "auto") = None  # type: ignore[valid-type]
    response_format: _only({"type": "text"}) = None  # type: ignore[valid-type]
    modalities: _only(["text"]) = None  # type: ignore[valid-type]
    audio: _only() = None  # type: ignore[valid-type]
    prediction: _only() = None  # type: ignore[valid-type]
    web_search_options: _only() = None  # type: ignore[valid-type]
    reasoning_effort: _only("none") = None  # type: ignore[valid-type]

    @property
    def longest(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    def parameters(self) -> dict[str, Any]:
        values = super().parameters()
        return values | ({"logprobs": self.top_logprobs or 0} if self.logprobs else {})


_MAX_PROMPTS = 16
_Prompt = Annotated[str, Field(min_length=1)]
_Prompts = Annotated[list[_Prompt], Field(min_length=1, max_length=_MAX_PROMPTS)]


def _kind_of_prompt(value: Any) -> str:
    return "prompts" if isinstance(value, list) else "prompt"


class CompletionIn(_Sampling):
    """A prompt of token ids is refused: which tokenizer they are of cannot be checked."""

    prompt: Annotated[Annotated[_Prompt, Tag("prompt")] | Annotated[_Prompts, Tag("prompts")],
                      Discriminator(_kind_of_prompt)]  # fmt: skip
    echo: bool = False
    best_of: Literal[1] | None = None
    suffix: _only("") = None  # type: ignore[valid-type]
    logprobs: _only() = None  # type: ignore[valid-type]

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def longest(self) -> int:
        return self.max_tokens or 16  # as OpenAI


_MAX_INPUTS = 2048  # as OpenAI
_TokenId = Annotated[int, Field(ge=0, strict=True)]
_Text = Annotated[str, Field(min_length=1)]
_Inputs = Annotated[list[_Text], Field(min_length=1, max_length=_MAX_INPUTS)]
_TokenIds = Annotated[list[_TokenId], Field(min_length=1, max_length=100_000)]
_ManyTokenIds = Annotated[list[_TokenIds], Field(min_length=1, max_length=_MAX_INPUTS)]


def _kind_of_input(value: Any) -> str:
    """Which of the forms is meant, so that an error names the field and not each form in turn."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(value, list) and isinstance(first, list):
        return "ids"
    if isinstance(value, list):
        return "id" if isinstance(first, int) else "texts"
    return "text"


class EmbeddingsIn(_Body):
    """Token ids are those of the model's own tokenizer, special tokens included. `truncate` is ours: the beginning
    of a text that is too long is read; without it such a text is refused with both counts."""

    model: str = Field(min_length=1, max_length=200)
    input: Annotated[
        Annotated[_Text, Tag("text")]
        | Annotated[_Inputs, Tag("texts")]
        | Annotated[_TokenIds, Tag("id")]
        | Annotated[_ManyTokenIds, Tag("ids")],
        Discriminator(_kind_of_input),
    ]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, le=100_000)
    truncate: bool = False
    user: str = Field("", max_length=200)

    def as_inputs(self) -> dict[str, Any]:
        kind = _kind_of_input(self.input)
        many = self.input if kind in ("texts", "ids") else [self.input]
        inputs: dict[str, Any] = {"token_ids" if kind in ("id", "ids") else "texts": many}
        if self.dimensions:
            inputs["dimensions"] = self.dimensions
        return inputs | ({"truncate": True} if self.truncate else {})


class ClassifyIn(_Body):
    """One of `text` and `texts`."""

    model: str = Field(min_length=1, max_length=200)
    text: _Text | None = None
    texts: _Inputs | None = None
    top_k: int | None = Field(None, ge=1)
    truncate: bool = False

    @model_validator(mode="after")
    def _has_one_form(self) -> "ClassifyIn":
        if (self.text is None) == (self.texts is None):
            raise ValueError("one of text and texts is needed")
        return self

    @property
    def field(self) -> str:
        return "text" if self.texts is None else "texts"

    def as_inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = {"texts": self.texts or [self.text]}
        if self.top_k:
            inputs["top_k"] = self.top_k
        return inputs | ({"truncate": True} if self.truncate else {})
