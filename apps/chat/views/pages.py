"""Whole pages of chat, and the lists that are loaded into them."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only, person
from apps.chat import queries
from apps.chat.forms import DEFAULTS
from apps.chat.models import Conversation
from apps.chat.permissions import owned_conversation
from apps.serving.queries import DeploymentState, deployment_states
from apps.serving.services import CHAT


@members_only
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    return _chat_page(request, None)


@members_only
@require_safe
def temporary(request: HttpRequest) -> HttpResponse:
    """A chat that only the page remembers."""
    return _chat_page(request, None, is_temporary=True)


@members_only
@require_safe
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    return _chat_page(request, owned_conversation(request.user, conversation_id))


@members_only
@require_safe
def thread(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    found = owned_conversation(request.user, conversation_id)
    return render(request, "chat/_thread.html", thread_context(found))


@members_only
@require_safe
def conversation_list(request: HttpRequest) -> HttpResponse:
    """Items of the sidebar: first or following page, perhaps of a search."""
    return render(request, "chat/_conversations.html", list_context(request))


@members_only
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """The model field; asks again by itself while the model is not ready."""
    return render(request, "chat/_models.html", models_context(request.GET.get("deployment", "")))


def thread_context(found: Conversation | None) -> dict[str, Any]:
    return {"conversation": found, "thread": queries.thread(found) if found else []}


def list_context(request: HttpRequest) -> dict[str, Any]:
    words, archived = request.GET.get("q", ""), request.GET.get("archived") == "1"
    cursor = request.GET.get("cursor", "")
    page = queries.conversation_page(owner=person(request), archived=archived, search=words, cursor=cursor)
    return {
        "page": page,
        "words": words.strip(),
        "archived": archived,
        "is_first_page": not cursor,
        "last_group": request.GET.get("group", ""),
        "open_id": request.GET.get("open", ""),
    }


def models_context(chosen: str) -> dict[str, Any]:
    """The deployments, the chosen one (or the first that is ready), and whether it can answer."""
    states = sorted(deployment_states(CHAT), key=lambda state: state.created_at)
    current = _current(states, chosen)
    return {"deployments": states, "deployment": current, "is_ready": bool(current and current.is_ready)}


def _current(states: list[DeploymentState], chosen: str) -> DeploymentState | None:
    named = [state for state in states if state.name == chosen]
    ready = [state for state in states if state.is_ready]
    return next(iter(named or ready or states), None)


def _chat_page(request: HttpRequest, found: Conversation | None, *, is_temporary: bool = False) -> HttpResponse:
    context = {
        **thread_context(found),
        **list_context(request),
        **models_context(found.deployment.name if found and found.deployment else ""),
        "open_id": str(found.pk) if found else "",
        "is_temporary": is_temporary,
        "presets": queries.presets(person(request)),
        "system_prompt": found.system_prompt if found else "",
        "parameters": found.parameters if found else DEFAULTS,
    }
    return render(request, "chat/chat.html", context)
