"""Who may see which account object. A stranger gets 404, never 403: existence is not told."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from apps.accounts.models import APIKey, User


def owned_key(user: User | AnonymousUser, key_id: UUID) -> APIKey:
    return get_object_or_404(APIKey, pk=key_id, owner_id=user.pk)


def visible_keys(user: User) -> QuerySet[APIKey]:
    """One's own; administrators see, and may revoke, everybody's."""
    return APIKey.objects.all() if user.is_staff else APIKey.objects.filter(owner=user)


def visible_key(user: User, key_id: UUID) -> APIKey:
    return get_object_or_404(visible_keys(user), pk=key_id)
