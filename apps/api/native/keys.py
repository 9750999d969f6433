"""API keys. A key makes keys that may at most what it may itself: with one that was found nobody gets further."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from ninja import Field, Query, Router, Schema
from pydantic import AwareDatetime

from apps.accounts import keys
from apps.accounts.models import APIKey, Scope
from apps.accounts.permissions import outgrows, owned_key, visible_key, visible_keys
from apps.api.auth import KeyAuth, check_scope, may
from apps.api.errors import APIError
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, key_of, owner_of, who
from apps.quotas.services import inherit_limits

router = Router(auth=KeyAuth(Scope.ACCOUNT), tags=["Account"])


class KeyOut(Schema):
    id: UUID
    name: str
    owner: str = Field(description="E-mail address.")
    prefix: str = Field(description="The visible beginning of the secret.")
    scopes: list[Scope]
    deployments: list[str] = Field(description="The models it is for; empty is every one.")
    is_active: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    told_once: ClassVar[tuple[str, ...]] = ("secret",)
    secret: str | None = Field(description="Shown once: null when the same Idempotency-Key is sent again.")


class KeyIn(Body):
    name: str = Field(min_length=1, max_length=80)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), description="At most those of the key in use.")
    deployments: list[str] = Field([], max_length=100, description="The models it is for; empty is every one.")
    expires_at: AwareDatetime | None = None


class RotateIn(Body):
    overlap_hours: int = Field(24, ge=0, le=24 * 7, description="For so long the old secret works beside the new one.")


class Whose(Paging):
    everybody: bool = Field(False, description="Those of all people; for administrators with a key of the scope admin.")


def _values(key: APIKey) -> dict[str, Any]:
    names = ("name", "prefix", "scopes", "deployments", "is_active", "created_at", "last_used_at", "expires_at")
    values = {name: getattr(key, name) for name in names}
    return {**values, "id": key.pk, "owner": key.owner.email, "revoked_at": key.revoked_at}


def key_out(key: APIKey) -> KeyOut:
    return KeyOut(**_values(key))


@router.get("/keys", response=Page[KeyOut], summary="List keys")
@in_thread
def list_keys(request: HttpRequest, whose: Query[Whose]) -> dict[str, Any]:
    """The newest first, with those that have ended."""
    if whose.everybody:
        check_scope(key_of(request), Scope.ADMIN)
    found = visible_keys(owner_of(request)) if whose.everybody else owner_of(request).api_keys.all()
    return page_of(found.select_related("owner"), ("-created_at", "-id"), whose, key_out)


@router.post("/keys", response={201: NewKeyOut}, summary="Make a key")
@creating
@sensitive_variables("secret")
def create_key(request: HttpRequest, payload: KeyIn) -> NewKeyOut:
    """The secret is in the answer, this once. It counts for the team of the key in use and gets its limits."""
    values: dict[str, Any] = {
        "scopes": payload.scopes,
        "deployments": payload.deployments,
        "expires_at": payload.expires_at,
    }
    maker = key_of(request)
    _check_reach(maker, **values)
    with transaction.atomic():
        key, secret = keys.create_api_key(
            owner=owner_of(request), name=payload.name, team=maker.team, address=who(request)["address"], **values
        )
        inherit_limits(to=key, of=[maker], **who(request))
    return NewKeyOut(**_values(key), secret=secret)


@router.get("/keys/{uuid:key_id}", response=KeyOut, summary="Read a key")
@in_thread
def get_key(request: HttpRequest, key_id: UUID) -> KeyOut:
    return key_out(_known_key(request, key_id))


@router.post("/keys/{uuid:key_id}/rotate", response={201: NewKeyOut}, summary="Rotate a key")
@creating
@sensitive_variables("secret")
def rotate_key(request: HttpRequest, key_id: UUID, payload: RotateIn) -> NewKeyOut:
    """A new key that may what the old one may, within the limits of the old one and of the key in use; the old one ends
    after the overlap. Only one's own."""
    key = owned_key(owner_of(request), key_id)
    _check_reach(key_of(request), scopes=key.scopes, deployments=key.deployments, expires_at=key.expires_at)
    with transaction.atomic():
        new, secret = keys.rotate_api_key(key=key, overlap=timedelta(hours=payload.overlap_hours), **who(request))
        inherit_limits(to=new, of=[key, key_of(request)], **who(request))
    return NewKeyOut(**_values(new), secret=secret)


@router.post("/keys/{uuid:key_id}/revoke", response=KeyOut, summary="Revoke a key")
@in_thread
def revoke_key(request: HttpRequest, key_id: UUID) -> KeyOut:
    """It is refused from now on, also the one that asks. It stays listed."""
    key = _known_key(request, key_id)
    keys.revoke_api_key(key=key, **who(request))
    key.revoked_at = key.revoked_at or timezone.now()
    return key_out(key)


def _known_key(request: HttpRequest, key_id: UUID) -> APIKey:
    """Those of others only for an administrator's key of the scope admin."""
    find = visible_key if may(key_of(request), Scope.ADMIN) else owned_key
    return find(owner_of(request), key_id)


def _check_reach(maker: APIKey, **values: Any) -> None:
    if field := outgrows(maker, **values):
        message = f"{field}: a key cannot give more than it has itself."
        raise APIError(403, message, kind="insufficient_permissions", param=field, code="key_outgrown")
