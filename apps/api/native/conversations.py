"""Conversations: list and search, start, change, send, export, delete. The same services as the pages."""

import json
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_any_model, check_model
from apps.api.native.bodies import MODEL, NO_SAMPLING, Body, SamplingIn, text_field
from apps.api.native.messages import MessageOut, check_conversation, message_out
from apps.api.native.paging import Page, Paging, bad_cursor
from apps.api.native.running import creating, in_thread, key_of, owner_of
from apps.api.site import SENDS, also
from apps.chat import queries, services
from apps.chat.models import Conversation, Message
from apps.chat.permissions import owned_conversation, owned_message

router = Router(auth=KeyAuth(Scope.CONVERSATIONS), tags=["Conversations"])
EXPORTS = {"application/json": {"schema": {"type": "object"}}, "text/markdown": {"schema": {"type": "string"}}}


class ConversationOut(Schema):
    id: UUID
    title: str
    model: str = Field(description=MODEL)
    system_prompt: str
    parameters: dict[str, Any]
    pinned: bool
    archived: bool
    leaf: UUID | None = Field(description="The newest message of the branch that is shown.")
    created_at: datetime
    updated_at: datetime


class ConversationListed(ConversationOut):
    is_writing: bool = Field(description="An answer is being written.")
    snippet: str = Field(description="Of a search: the words around what was found.")


class ConversationWithMessages(ConversationOut):
    messages: list[MessageOut] = Field(description="The whole tree, oldest first; `parent` makes the branches.")
    thread: list[UUID] = Field(description="The branch that is shown, from the first message to `leaf`.")


class ConversationIn(Body):
    model: str = Field("", max_length=80, description=MODEL)
    title: str = Field("", max_length=120, description="Empty: the first question names it.")
    system_prompt: str = text_field(default="")
    parameters: SamplingIn = NO_SAMPLING


class ConversationChanges(Body):
    """Only what is named is changed."""

    model: str = Field(default_factory=str, max_length=80, description=MODEL)
    title: str = Field(default_factory=str, min_length=1, max_length=120)
    system_prompt: str = text_field(default_factory=str)
    parameters: SamplingIn = Field(default_factory=lambda: NO_SAMPLING)
    pinned: bool = Field(default_factory=bool)
    archived: bool = Field(default_factory=bool)


class MessageIn(Body):
    text: str = text_field(min_length=1)
    parent: UUID | None = Field(
        None, description="The answer to go on from; null starts a new branch. Left out: the conversation's `leaf`."
    )


class SentOut(Schema):
    question: MessageOut
    answer: MessageOut = Field(description="Being written: follow its `request_id` on /api/v1/requests.")


class Wanted(Paging):
    search: str = Field("", max_length=200, description="Words of titles and messages, or their very text.")
    archived: bool = Field(False, description="Those put away. A search looks at all.")


def _values(found: Conversation) -> dict[str, Any]:
    names = ("title", "system_prompt", "parameters", "pinned", "archived", "created_at", "updated_at")
    values = {name: getattr(found, name) for name in names}
    return {**values, "id": found.pk, "leaf": found.leaf_id, "model": found.deployment.name if found.deployment else ""}


@router.get("/conversations", response=Page[ConversationListed], summary="List conversations")
@in_thread
def list_conversations(request: HttpRequest, wanted: Query[Wanted]) -> dict[str, Any]:
    """Pinned first, then those that changed last."""
    if wanted.cursor and not queries.is_cursor(wanted.cursor):
        raise bad_cursor()
    page = queries.conversation_page(
        owner=owner_of(request),
        archived=wanted.archived,
        search=wanted.search,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    listed = [{**_values(one), "is_writing": one.is_writing, "snippet": one.snippet} for one in page.items]  # type: ignore[attr-defined]
    return {"data": listed, "next": page.next_cursor or None}


@router.post("/conversations", response={201: ConversationOut}, openapi_extra=also(404), summary="Start a conversation")
@creating
def create_conversation(request: HttpRequest, payload: ConversationIn) -> ConversationOut:
    """An empty one. Send the first message to it."""
    if payload.model:
        check_model(key_of(request), payload.model)
    with transaction.atomic():
        found = services.start_conversation(
            owner=owner_of(request),
            deployment=payload.model,
            system_prompt=payload.system_prompt,
            parameters=payload.parameters.stored(),
        )
        if payload.title:
            services.update_conversation(conversation=found, title=payload.title)
    return ConversationOut(**_values(found))


@router.get("/conversations/{uuid:conversation_id}", response=ConversationWithMessages, summary="Read a conversation")
@in_thread
def get_conversation(request: HttpRequest, conversation_id: UUID) -> ConversationWithMessages:
    found = owned_conversation(owner_of(request), conversation_id)
    messages = [message_out(message) for message in found.messages.defer("logprobs")]
    thread = [item.message.pk for item in queries.thread(found)]
    return ConversationWithMessages(**_values(found), messages=messages, thread=thread)


@router.patch("/conversations/{uuid:conversation_id}", response=ConversationOut, summary="Change a conversation")
@in_thread
def update_conversation(request: HttpRequest, conversation_id: UUID, payload: ConversationChanges) -> ConversationOut:
    found = owned_conversation(owner_of(request), conversation_id)
    changes: dict[str, Any] = {name: getattr(payload, name) for name in payload.model_fields_set}
    if "model" in changes:
        check_any_model(key_of(request), changes["model"])
        changes["deployment"] = changes.pop("model")
    if "parameters" in changes:
        changes["parameters"] = payload.parameters.stored()
    services.update_conversation(conversation=found, **changes)
    return ConversationOut(**_values(found))


@router.delete("/conversations/{uuid:conversation_id}", response={204: None}, summary="Delete a conversation")
@in_thread
def delete_conversation(request: HttpRequest, conversation_id: UUID) -> None:
    """With all its messages; what is still being written is stopped. What it used stays counted."""
    services.delete_conversation(conversation=owned_conversation(owner_of(request), conversation_id))


@router.post(
    "/conversations/{uuid:conversation_id}/messages",
    response={201: SentOut},
    openapi_extra=SENDS,
    summary="Send a message",
)
@creating
def send_message(request: HttpRequest, conversation_id: UUID, payload: MessageIn) -> SentOut:
    """The question is stored and its answer begun. The parent of an existing question makes a branch beside it."""
    found = owned_conversation(owner_of(request), conversation_id)
    check_conversation(request, found)
    question, answer = services.send_message(
        conversation=found, text=payload.text, parent=_parent(request, found, payload)
    )
    return SentOut(question=message_out(question), answer=message_out(answer))


@router.get(
    "/conversations/{uuid:conversation_id}/export",
    openapi_extra={"responses": {200: {"content": EXPORTS}}},
    summary="Export a conversation",
)
@in_thread
def export_conversation(
    request: HttpRequest, conversation_id: UUID, format: Query[Literal["json", "md"]] = "json"
) -> HttpResponse:
    """The whole tree as JSON, or the branch that is shown as Markdown."""
    found = owned_conversation(owner_of(request), conversation_id)
    if format == "md":
        return HttpResponse(queries.export_markdown(found), content_type="text/markdown; charset=utf-8")
    body = json.dumps(queries.export_json(found), ensure_ascii=False, indent=2)
    return HttpResponse(body, content_type="application/json")


def _parent(request: HttpRequest, found: Conversation, payload: MessageIn) -> Message | None:
    if "parent" not in payload.model_fields_set:
        return found.leaf
    return owned_message(owner_of(request), payload.parent) if payload.parent else None
