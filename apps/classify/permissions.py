"""Who may see which batch and which answer: who asked for it. Everybody else gets 404. And who may go on with one."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.shortcuts import get_object_or_404

from apps.accounts.models import User
from apps.accounts.permissions import may_send
from apps.classify.models import Batch
from apps.serving import requests
from contracts.messages import InferenceRequest


def owned_batch(user: User | AnonymousUser, batch_id: UUID) -> Batch:
    return get_object_or_404(Batch, pk=batch_id, owner_id=user.pk)


def why_not_sent(batch: Batch) -> str:
    """Why nothing more of the file may be sent in the name of who sent it; empty when it may."""
    if not may_send(batch.owner):
        return "Its owner was not allowed to send when it was to go on. Ask an administrator, then go on with it."
    if batch.key is not None and not batch.key.is_active:
        return (
            f"The API key {batch.key.prefix}…, by which this file was sent, has ended. "
            "Go on with it on its page, or by another key."
        )
    return ""


def owned_request(user: User | AnonymousUser, request_id: str) -> InferenceRequest:
    """Raises Http404, also for a request that is not kept any more."""
    if requests.owner_of(request_id) != str(user.pk):
        raise Http404
    found = requests.payload_of(request_id)
    if found is None:
        raise Http404
    return found
