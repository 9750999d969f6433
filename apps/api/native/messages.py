"""Messages of a conversation: read one, answer again, choose a branch, rate."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_any_model
from apps.api.native.bodies import Body
from apps.api.native.running import creating, in_thread, key_of, owner_of
from apps.api.site import SENDS
from apps.chat import services
from apps.chat.models import Conversation, Message
from apps.chat.permissions import owned_message
from apps.chat.queries import exported

router = Router(auth=KeyAuth(Scope.CONVERSATIONS), tags=["Conversations"])


class MessageOut(Schema):
    id: UUID
    parent: UUID | None = Field(description="The message it answers; null for the first question of a branch.")
    role: Literal["user", "assistant"]
    text: str = Field(description="Of an answer once its stream has ended; follow `request_id` until then.")
    model: str
    status: Literal["waiting", "done", "stopped", "failed"]
    request_id: str = Field(description="For /api/v1/requests; empty for questions.")
    parameters: dict[str, Any]
    usage: dict[str, Any]
    error: dict[str, Any]
    rating: int
    created_at: datetime


class MessageWithLogprobs(MessageOut):
    logprobs: list[dict[str, Any]] = Field(description="Of each token, where they were asked for.")


class RatingIn(Body):
    rating: Literal[-1, 0, 1] = Field(description="Poor, not rated, good.")


def message_values(message: Message) -> dict[str, Any]:
    return {**exported(message), "request_id": message.request_id, "error": message.error}


def message_out(message: Message) -> MessageOut:
    return MessageOut(**message_values(message))


def check_conversation(request: HttpRequest, conversation: Conversation) -> None:
    """Raises what check_any_model raises for the model that would answer."""
    check_any_model(key_of(request), conversation.deployment.name if conversation.deployment else "")


@router.get("/messages/{uuid:message_id}", response=MessageWithLogprobs, summary="Read a message")
@in_thread
def get_message(request: HttpRequest, message_id: UUID) -> MessageWithLogprobs:
    """One message, with the probabilities of its tokens."""
    found = owned_message(owner_of(request), message_id)
    return MessageWithLogprobs(**message_values(found), logprobs=found.logprobs)


@router.post(
    "/messages/{uuid:message_id}/regenerate", response={201: MessageOut}, openapi_extra=SENDS, summary="Answer again"
)
@creating
def regenerate_message(request: HttpRequest, message_id: UUID) -> MessageOut:
    """Another answer to the same question, beside this one. It is being written when this returns."""
    found = owned_message(owner_of(request), message_id)
    check_conversation(request, found.conversation)
    return message_out(services.regenerate(answer=found))


@router.post("/messages/{uuid:message_id}/select", response={204: None}, summary="Show a branch")
@in_thread
def select_message(request: HttpRequest, message_id: UUID) -> None:
    """The conversation goes on from the newest answer of the branch through this message."""
    found = owned_message(owner_of(request), message_id)
    services.select_message(conversation=found.conversation, message=found)


@router.put("/messages/{uuid:message_id}/rating", response=MessageOut, summary="Rate an answer")
@in_thread
def rate_message(request: HttpRequest, message_id: UUID, payload: RatingIn) -> MessageOut:
    found = owned_message(owner_of(request), message_id)
    services.rate(message=found, rating=payload.rating)
    return message_out(found)
