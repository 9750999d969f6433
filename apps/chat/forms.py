"""What people send to the chat pages, parsed and bounded. Errors name the field."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from apps.serving.sentences import translated
from contracts.messages import SamplingParams

# What a new chat starts with. A small model repeats itself without the penalty.
DEFAULTS: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.95,
    "min_p": 0.05,
    "max_tokens": 512,
    "repetition_penalty": 1.05,
}
LOGPROB_ALTERNATIVES = 3


class ParametersForm(forms.Form):
    """Instructions and sampling parameters. What is left out is left to the model's defaults."""

    system_prompt = forms.CharField(required=False, strip=False, max_length=settings.MAX_MESSAGE_CHARS)
    temperature = forms.FloatField(label=_("Temperature"), required=False, min_value=0, max_value=2)
    top_p = forms.FloatField(label=_("Top-p"), required=False, min_value=0.0001, max_value=1)
    top_k = forms.IntegerField(label=_("Top-k"), required=False, min_value=0, max_value=1_000_000)
    min_p = forms.FloatField(label=_("Min-p"), required=False, min_value=0, max_value=1)
    max_tokens = forms.IntegerField(label=_("Longest answer"), required=False, min_value=1, max_value=1_000_000)
    seed = forms.IntegerField(label=_("Seed"), required=False, min_value=-(2**63), max_value=2**63 - 1)
    repetition_penalty = forms.FloatField(label=_("Repetition"), required=False, min_value=0.1, max_value=10)
    frequency_penalty = forms.FloatField(label=_("Frequency"), required=False, min_value=-2, max_value=2)
    presence_penalty = forms.FloatField(label=_("Presence"), required=False, min_value=-2, max_value=2)
    stop = forms.CharField(label=_("Stop at"), required=False, strip=False)
    logprobs = forms.BooleanField(required=False)

    def clean_stop(self) -> list[str]:
        return [line for line in self.cleaned_data["stop"].replace("\r", "").split("\n") if line]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            SamplingParams(**self.parameters)
        except ValueError as error:
            field, _colon, reason = str(error).partition(": ")
            self.add_error(field if field in self.fields else None, translated(reason))
        return cleaned

    @property
    def parameters(self) -> dict[str, Any]:
        """The dict that is stored with a conversation; only what was given."""
        chosen = {name: self.cleaned_data.get(name) for name in PARAMETER_NAMES}
        chosen["logprobs"] = LOGPROB_ALTERNATIVES if chosen["logprobs"] else None
        return {name: value for name, value in chosen.items() if value is not None and value != []}


PARAMETER_NAMES = [name for name in ParametersForm.base_fields if name != "system_prompt"]


class MessageForm(forms.Form):
    text = forms.CharField(
        strip=False,
        max_length=settings.MAX_MESSAGE_CHARS,
        error_messages={"required": _("Write something first.")},
    )
    parent = forms.UUIDField(required=False)
    deployment = forms.CharField(required=False)


class TitleForm(forms.Form):
    title = forms.CharField(max_length=120, error_messages={"required": _("A title needs at least one character.")})


class PresetForm(forms.Form):
    name = forms.CharField(max_length=60, error_messages={"required": _("Give the preset a name.")})


class CompareForm(forms.Form):
    prompt = forms.CharField(
        label=_("Question"),
        strip=False,
        max_length=settings.MAX_MESSAGE_CHARS,
        error_messages={"required": _("Write the question first.")},
    )
    system_prompt = forms.CharField(required=False, strip=False, max_length=settings.MAX_MESSAGE_CHARS)
    blind = forms.BooleanField(required=False)
    deployment_a = forms.CharField(required=False)
    deployment_b = forms.CharField(required=False)
