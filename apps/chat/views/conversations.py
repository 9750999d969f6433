"""Changing one conversation: send, rename, pin, archive, settings, delete, export."""

import json
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseLocation, trigger_client_event

from apps.accounts.decorators import members_only, person, senders_only
from apps.chat import queries, services
from apps.chat.forms import MessageForm, ParametersForm, TitleForm
from apps.chat.models import Conversation, Message
from apps.chat.permissions import owned_conversation, owned_message
from apps.chat.tree import ThreadItem
from apps.chat.views.pages import thread_context
from apps.quotas.refusing import refusable, valid


@senders_only
@require_POST
@refusable
def start(request: HttpRequest) -> HttpResponse:
    """First message of a new conversation; a refusal leaves no conversation behind."""
    form, settings = valid(MessageForm(request.POST)), valid(ParametersForm(request.POST))
    with transaction.atomic():
        conversation = services.start_conversation(
            owner=person(request),
            deployment=form.cleaned_data["deployment"],
            system_prompt=settings.cleaned_data["system_prompt"],
            parameters=settings.parameters,
        )
        services.send_message(conversation=conversation, text=form.cleaned_data["text"], parent=None)
    return HttpResponseLocation(reverse("chat:conversation", args=[conversation.pk]), target="body")


@senders_only
@require_POST
@refusable
def send(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """A message below `parent`. `whole` asks for the whole thread, as an edit changes its path."""
    conversation = owned_conversation(request.user, conversation_id)
    form = valid(MessageForm(request.POST))
    with transaction.atomic():
        _take_settings(conversation, request.POST)
        question, answer = services.send_message(
            conversation=conversation, text=form.cleaned_data["text"], parent=_parent(request, conversation, form)
        )
    if request.POST.get("whole"):
        return render(request, "chat/_thread.html", thread_context(conversation))
    items = [ThreadItem(message, 1, 1, None, None) for message in (question, answer)]
    return render(request, "chat/_messages.html", {"conversation": conversation, "thread": items})


@members_only
@require_POST
@refusable
def update(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = owned_conversation(request.user, conversation_id)
    changes = _changes(request.POST)
    services.update_conversation(conversation=conversation, **changes)
    response = HttpResponse(status=204)
    if "archived" in changes and not request.POST.get("undone"):
        said = _("Conversation archived") if changes["archived"] else _("Conversation restored")
        undo = {"archived": "" if changes["archived"] else "1", "undone": "1"}
        trigger_client_event(response, "toast", {"text": said, "undo": {"url": request.path, "values": undo}})
    return response


@members_only
@require_POST
def delete(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    services.delete_conversation(conversation=owned_conversation(request.user, conversation_id))
    if request.POST.get("open") == str(conversation_id):
        return HttpResponseLocation(reverse("chat:new"), target="body")
    response = HttpResponse(status=204)
    return trigger_client_event(response, "toast", {"text": _("Conversation deleted")})


@members_only
@require_safe
def export(request: HttpRequest, conversation_id: UUID, form: str) -> HttpResponse:
    conversation = owned_conversation(request.user, conversation_id)
    if form == "md":
        body, kind = queries.export_markdown(conversation), "text/markdown; charset=utf-8"
    elif form == "json":
        document = queries.export_json(conversation)
        body, kind = json.dumps(document, ensure_ascii=False, indent=2), "application/json"
    else:
        raise Http404
    name = f"{conversation}"[:60].replace("/", "-") + f".{form}"
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    return HttpResponse(body, content_type=kind, headers={"Content-Disposition": disposition})


def _take_settings(conversation: Conversation, posted: Any) -> None:
    """Settings that are sent along hold from this message on, even when they were not saved yet."""
    if "temperature" not in posted:
        return
    settings = valid(ParametersForm(posted))
    changes = {"system_prompt": settings.cleaned_data["system_prompt"], "parameters": settings.parameters}
    changes = {name: value for name, value in changes.items() if getattr(conversation, name) != value}
    if changes:
        services.update_conversation(conversation=conversation, **changes)


def _parent(request: HttpRequest, conversation: Conversation, form: MessageForm) -> Message | None:
    """The message to answer to: the one named, none when it is named empty, else the current leaf."""
    if form.cleaned_data["parent"]:
        return owned_message(request.user, form.cleaned_data["parent"])
    return None if "parent" in request.POST else conversation.leaf


def _changes(posted: Any) -> dict[str, Any]:
    changes: dict[str, Any] = {name: posted[name] == "1" for name in ("pinned", "archived") if name in posted}
    if "title" in posted:
        changes["title"] = valid(TitleForm(posted)).cleaned_data["title"]
    if "deployment" in posted:
        changes["deployment"] = posted["deployment"]
    if "temperature" in posted:
        settings = valid(ParametersForm(posted))
        changes |= {"system_prompt": settings.cleaned_data["system_prompt"], "parameters": settings.parameters}
    return changes
