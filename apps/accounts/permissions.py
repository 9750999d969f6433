"""Who may see which account object. A stranger gets 404, never 403: existence is not told."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.shortcuts import get_object_or_404

from apps.accounts.models import APIKey, User


def owned_key(user: User | AnonymousUser, key_id: UUID) -> APIKey:
    return get_object_or_404(APIKey, pk=key_id, owner_id=user.pk)
