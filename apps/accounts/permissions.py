"""Who may see which account object. A stranger gets 404, never 403: existence is not told."""

from collections.abc import Collection
from datetime import datetime
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


def outgrows(
    maker: APIKey, *, scopes: Collection[str], deployments: Collection[str], expires_at: datetime | None
) -> str:
    """What a key would give to another that it has not itself, by the field's name; empty when nothing."""
    if set(scopes) - set(maker.scopes):
        return "scopes"
    if maker.deployments and not (deployments and set(deployments) <= set(maker.deployments)):
        return "deployments"
    if maker.expires_at and not (expires_at and expires_at <= maker.expires_at):
        return "expires_at"
    return ""
