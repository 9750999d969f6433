"""Verbs on API keys: make, rotate, revoke, and recognise the one that comes with a request."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import APIKey, Scope, Team, User
from apps.accounts.permissions import is_administrator, may_send
from apps.accounts.queries import teams_to_spend, with_second_factors
from apps.audit.services import record

log = structlog.get_logger()

KEY_START = "dsw-"
PREFIX_LENGTH = len(KEY_START) + 6
OVERLAP = timedelta(hours=24)
_NOTE_EVERY = timedelta(minutes=1)
_KNOWN_SECONDS = 1.0
_KNOWN_KEYS = 10_000
_known: dict[str, tuple[APIKey, float]] = {}  # digest -> key and until when it need not be looked up
_notes = ThreadPoolExecutor(1, thread_name_prefix="key-use")


def scopes_for(owner: User) -> list[str]:
    """Scopes that this person's keys may have; none for a viewer."""
    if not may_send(owner):
        return []
    return [scope for scope in Scope.values if scope != Scope.ADMIN or is_administrator(owner)]


@transaction.atomic
def create_api_key(
    *,
    owner: User,
    name: str,
    scopes: Iterable[str] | None = None,
    deployments: Iterable[str] = (),
    team: Team | None = None,
    expires_at: datetime | None = None,
    address: str | None = None,
) -> tuple[APIKey, str]:
    """A new key and its secret, which is shown once and cannot be had again. Writes the audit log.

    `scopes` are all that the owner may give when none are named; no `deployments` means every one. What is done with
    the key counts for `team`. Raises ValueError(`field: reason`).
    """
    chosen = _checked(owner, scopes_for(owner) if scopes is None else scopes)
    if expires_at is not None and expires_at <= timezone.now():
        raise ValueError("expires_at: is in the past")
    if team is not None and not teams_to_spend(owner).filter(pk=team.pk).exists():
        raise ValueError("team: you may not ask models in its name")
    key, secret = _store(
        owner=owner,
        name=name.strip() or "key",
        scopes=chosen,
        deployments=sorted(set(deployments)),
        team=team,
        expires_at=expires_at,
    )
    _say("apikey.create", key, owner, address)
    return key, secret


@transaction.atomic
def rotate_api_key(
    *, key: APIKey, actor: User, overlap: timedelta = OVERLAP, address: str | None = None
) -> tuple[APIKey, str]:
    """A new key that may what the old one may, and its secret; the old one ends after `overlap`.

    A key that expires keeps its span: a key of 30 days becomes another of 30 days. Raises ValueError(`key: reason`)
    for one that has ended. Writes the audit log.
    """
    if not key.is_active:
        raise ValueError("key: has ended; make a new one instead")
    now = timezone.now()
    expires_at = key.expires_at and now + (key.expires_at - key.created_at)
    new, secret = _store(
        owner=key.owner,
        name=key.name,
        scopes=key.scopes,
        deployments=key.deployments,
        team=key.team,
        expires_at=expires_at,
        replaces=key,
    )
    end = now + overlap
    key.expires_at = min(end, key.expires_at or end)
    key.save(update_fields=["expires_at"])
    _forget(key)
    _say("apikey.rotate", key, actor, address, replacement=new.prefix, works_until=key.expires_at.isoformat())
    return new, secret


@transaction.atomic
def revoke_api_key(*, key: APIKey, actor: User | None = None, address: str | None = None) -> None:
    """The key is refused from now on. It stays listed, so that its past use can be explained. Writes the audit log."""
    if APIKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        _say("apikey.revoke", key, actor, address)
    _forget(key)


def revoke_team_keys(*, team: Team, owner: User | None = None, actor: User | None, address: str | None = None) -> int:
    """End the keys that count for the team: all, or those of somebody who leaves it. Returns how many."""
    found = team.api_keys.filter(revoked_at=None).select_related("owner")
    ended = list(found.filter(owner=owner) if owner else found)
    for key in ended:
        revoke_api_key(key=key, actor=actor, address=address)
    return len(ended)


@sensitive_variables("secret")
def known_key(secret: str) -> APIKey | None:
    """The key if it was found active within the last second, without asking the database."""
    found = _known.get(_digest(secret))
    return found[0] if found and time.monotonic() < found[1] and found[0].is_active else None


@sensitive_variables("secret")
def authenticate_key(secret: str) -> APIKey | None:
    """The active key with this secret, or None. Its use is noted behind the request, at most once a minute.

    It is remembered for `_KNOWN_SECONDS`: a key that another process revokes, or whose owner is locked out or loses the
    second factor, works for that much longer.
    """
    digest = _digest(secret)
    # Found by what anybody may see of it, compared in constant time by the rest.
    alike = APIKey.objects.select_related("owner", "team").filter(prefix=secret[:PREFIX_LENGTH], revoked_at=None)
    found = with_second_factors(alike)
    key = next((one for one in found if hmac.compare_digest(one.digest, digest)), None)
    if key is None or not key.is_active or not key.owner.is_active:
        return None
    key.may_administer = key.has_wanted_factor  # type: ignore[attr-defined]
    if not key.was_used_since(timezone.now() - _NOTE_EVERY):
        _notes.submit(_note_use, key.pk)
    if len(_known) >= _KNOWN_KEYS:
        _known.clear()
    _known[digest] = (key, time.monotonic() + _KNOWN_SECONDS)
    return key


def wait_for_notes() -> None:
    """Return when every use so far has been noted."""
    _notes.submit(lambda: None).result()


def _note_use(key_id: UUID) -> None:
    """One write a minute, however many processes have seen the key."""
    now = timezone.now()
    is_old = Q(last_used_at=None) | Q(last_used_at__lt=now - _NOTE_EVERY)
    try:
        APIKey.objects.filter(is_old, pk=key_id).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("use of a key not noted", key=str(key_id), error=str(error))
    finally:
        connection.close()


def _checked(owner: User, scopes: Iterable[str]) -> list[str]:
    """In the order of Scope. Raises ValueError(`scopes: reason`)."""
    chosen = set(scopes)
    if not chosen:
        raise ValueError("scopes: name at least one")
    if foreign := chosen - set(scopes_for(owner)):
        raise ValueError(f"scopes: {sorted(foreign)[0]!r} cannot be given")
    return [scope for scope in Scope.values if scope in chosen]


def _store(**fields: object) -> tuple[APIKey, str]:
    secret = KEY_START + secrets.token_urlsafe(32)
    return APIKey.objects.create(prefix=secret[:PREFIX_LENGTH], digest=_digest(secret), **fields), secret


def _say(action: str, key: APIKey, actor: User | None, address: str | None, **data: Any) -> None:
    record(action=action, target=key, actor=actor, address=address, owner=key.owner.email, scopes=key.scopes, **data)


def _forget(key: APIKey) -> None:
    transaction.on_commit(lambda: _known.pop(key.digest, None))
    _known.pop(key.digest, None)


def _digest(secret: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
