"""A chat of which the server keeps nothing: the page sends its whole history each time."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from apps.accounts.decorators import person, senders_only
from apps.chat import services
from apps.chat.forms import ParametersForm
from apps.quotas.refusing import refusable, valid
from apps.serving.queries import deployment_states

ROLES = {"user", "assistant"}


@senders_only
@require_POST
@refusable
def send(request: HttpRequest) -> HttpResponse:
    """`messages` is JSON: [{role, content}], the last one is the question."""
    settings = valid(ParametersForm(request.POST))
    messages = _messages(request.POST.get("messages", ""))
    system_prompt = settings.cleaned_data["system_prompt"]
    prompt = [{"role": "system", "content": system_prompt}, *messages] if system_prompt else messages
    deployment = request.POST.get("deployment", "")
    request_id = services.send_temporary(
        owner=person(request), deployment=deployment, messages=prompt, parameters=settings.parameters
    )
    titles = {state.name: state.title for state in deployment_states()}
    context = {"text": messages[-1]["content"], "request_id": request_id, "model_name": titles.get(deployment, "")}
    return render(request, "chat/_temporary_messages.html", context)


def _messages(text: str) -> list[dict[str, str]]:
    try:
        messages = json.loads(text)
    except ValueError as error:
        raise ValueError("messages: is not JSON") from error
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise ValueError("messages: must be a list of {role, content}")
    if messages[-1]["role"] != "user":
        raise ValueError("messages: the last one must be of the user")
    return messages


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"role", "content"}
        and value["role"] in ROLES
        and isinstance(value["content"], str)
    )
