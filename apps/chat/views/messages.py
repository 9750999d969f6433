"""One message: show it, answer again, choose its version, rate it."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, senders_only
from apps.chat import services
from apps.chat.permissions import owned_message
from apps.chat.tree import tree_of
from apps.chat.views.pages import thread_context
from apps.quotas.refusing import refusable


@members_only
@require_safe
def message(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """The article of a message, as it is stored now."""
    found = owned_message(request.user, message_id)
    item = tree_of(found.conversation_id).thread(found.pk)[-1]
    context = {"conversation": found.conversation, "thread": [item], "with_logprobs": True}
    return render(request, "chat/_messages.html", context)


@senders_only
@require_POST
@refusable
def regenerate(request: HttpRequest, message_id: UUID) -> HttpResponse:
    found = owned_message(request.user, message_id)
    services.regenerate(answer=found)
    return render(request, "chat/_thread.html", thread_context(found.conversation))


@members_only
@require_POST
@refusable
def select(request: HttpRequest, message_id: UUID) -> HttpResponse:
    found = owned_message(request.user, message_id)
    services.select_message(conversation=found.conversation, message=found)
    return render(request, "chat/_thread.html", thread_context(found.conversation))


@members_only
@require_POST
@refusable
def rate(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """Rate the answer; the same rating again takes it back."""
    found = owned_message(request.user, message_id)
    rating = int(request.POST.get("rating") or 0)
    services.rate(message=found, rating=0 if found.rating == rating else rating)
    return render(request, "chat/_rating.html", {"message": found})


@members_only
@require_safe
def probabilities(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """The tokens of an answer with what else was likely."""
    found = owned_message(request.user, message_id)
    return render(request, "chat/_probabilities.html", {"message": found})
