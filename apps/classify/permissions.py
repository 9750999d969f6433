"""Who may see which batch and which answer: who asked for it. Everybody else gets 404."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.shortcuts import get_object_or_404

from apps.accounts.models import User
from apps.classify.models import Batch
from apps.serving import requests
from contracts.messages import InferenceRequest


def owned_batch(user: User | AnonymousUser, batch_id: UUID) -> Batch:
    return get_object_or_404(Batch, pk=batch_id, owner_id=user.pk)


def owned_request(user: User | AnonymousUser, request_id: str) -> InferenceRequest:
    """Raises Http404, also for a request that is not kept any more."""
    if requests.owner_of(request_id) != str(user.pk):
        raise Http404
    found = requests.payload_of(request_id)
    if found is None:
        raise Http404
    return found
