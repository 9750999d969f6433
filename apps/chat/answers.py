"""Storing what was streamed, once a request has ended."""

from datetime import timedelta
from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from apps.chat.models import Answer, AnswerStatus, Conversation, Lane, Message
from apps.serving import requests
from apps.serving.events import tell_user
from apps.serving.requests import Transcript
from apps.serving.signals import request_settled
from contracts.messages import ErrorType, FinishReason


@receiver(request_settled)
def store_answer(request_id: str, transcript: Transcript, *, is_awaited: bool = False, **kwargs: Any) -> None:
    """Store the text of the answer this request was for, if it was for one. Idempotent."""
    if is_awaited:
        return  # asked through an API: no answer of a chat, and not worth two queries each
    fields = _fields(transcript)
    for kind in (Message, Lane):
        waiting: Any = kind._default_manager.filter(request_id=request_id, status=AnswerStatus.WAITING)
        if waiting.update(**fields):
            _tell_owner(kind, request_id)


def fail_lost_answers() -> int:
    """Fail answers whose request Redis no longer knows, as after a loss of its data; returns how many."""
    lost = 0
    before = timezone.now() - timedelta(minutes=1)  # a younger one may be between its two stores
    for kind, created in ((Message, "created_at"), (Lane, "comparison__created_at")):
        old: Any = {f"{created}__lt": before}
        waiting: Any = kind._default_manager.filter(status=AnswerStatus.WAITING, **old)
        request_ids = list(waiting.values_list("request_id", flat=True))
        known = requests.exists(request_ids)
        gone = [request_id for request_id, found in zip(request_ids, known, strict=True) if not found]
        error = {"type": ErrorType.INTERNAL, "message": "The stream of this answer was lost. Ask again."}
        lost += waiting.filter(request_id__in=gone).update(status=AnswerStatus.FAILED, error=error)
    return lost


def _fields(transcript: Transcript) -> dict[str, Any]:
    if transcript.error:
        status = AnswerStatus.FAILED
    elif transcript.outcome["finish_reason"] == FinishReason.ABORT:
        status = AnswerStatus.STOPPED
    else:
        status = AnswerStatus.DONE
    return {
        # PostgreSQL cannot store NUL, which a model may write.
        "text": transcript.text.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        "status": status,
        "usage": transcript.outcome,
        "error": transcript.error,
        "logprobs": transcript.logprobs,
    }


def _tell_owner(kind: type[Answer], request_id: str) -> None:
    if kind is not Message:
        return
    conversation = Conversation.objects.filter(messages__request_id=request_id).only("owner_id").first()
    if conversation is None:
        return
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now())
    tell_user(conversation.owner_id, type="conversation", conversation=str(conversation.pk), action="changed")
