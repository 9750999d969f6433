"""What several bodies share. Fields that nobody knows are refused: a slip of the pen is told, not ignored."""

from typing import Any, TypeVar

from django.conf import settings
from django.forms import BaseForm
from ninja import Field, Schema
from pydantic import ConfigDict

from apps.api.schemas import Parameters

FormType = TypeVar("FormType", bound=BaseForm)
LOGPROB_ALTERNATIVES = 3  # as the chat page asks for
MODEL = "Name of a deployment; empty is whichever is ready."


class Body(Schema):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SamplingIn(Parameters):
    """How answers are drawn. What is left out is left to the model."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    logprobs: bool = Field(False, description="Keep how likely each token and three others were.")

    def stored(self) -> dict[str, Any]:
        """As it is kept with a conversation; only what was given."""
        values = {name: value for name, value in self.parameters().items() if value != []}
        return values | ({"logprobs": LOGPROB_ALTERNATIVES} if self.logprobs else {})


NO_SAMPLING = SamplingIn.model_validate({})  # everything is left to the model


def valid(form: FormType) -> FormType:
    """The form of a page, if it is valid: its rule is the only one. Raises ValueError(`field: reason`)."""
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise ValueError(f"{field}: {reasons[0]}")
    return form


def text_field(**more: Any) -> Any:
    return Field(max_length=settings.MAX_MESSAGE_CHARS, **more)
