"""Verbs on people and their keys."""

import hashlib
import secrets
import time

from django.utils import timezone

from apps.accounts.models import APIKey, User

KEY_START = "dsw-"
_KNOWN_SECONDS = 1.0
_KNOWN_KEYS = 10_000
_known: dict[str, tuple[APIKey, float]] = {}  # digest -> key and until when it need not be looked up


def create_administrator(*, email: str, password: str | None = None) -> tuple[User, str]:
    """A user who may do everything, and the password: the given one or a random one to be shown once.

    An existing user of that address becomes an administrator and gets the password.
    """
    password = password or secrets.token_urlsafe(12)
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        return User.objects.create_superuser(email, password), password
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return user, password


def create_api_key(*, owner: User, name: str) -> tuple[APIKey, str]:
    """A new key and its secret, which is shown once and cannot be had again."""
    secret = KEY_START + secrets.token_urlsafe(32)
    key = APIKey.objects.create(
        owner=owner, name=name.strip() or "key", prefix=secret[: len(KEY_START) + 6], digest=_digest(secret)
    )
    return key, secret


def revoke_api_key(*, key: APIKey) -> None:
    """The key is refused from now on. It stays listed, so that its past use can be explained."""
    APIKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    _known.pop(key.digest, None)


def known_key(secret: str) -> APIKey | None:
    """The key if it was found active within the last second, without asking the database."""
    found = _known.get(_digest(secret))
    return found[0] if found and time.monotonic() < found[1] else None


def authenticate_key(secret: str) -> APIKey | None:
    """The active key with this secret, or None. Notes the use at most once a minute.

    It is remembered for `_KNOWN_SECONDS`: a key that another process revokes, or whose owner is locked out,
    works for that much longer.
    """
    key = APIKey.objects.select_related("owner").filter(digest=_digest(secret), revoked_at=None).first()
    if key is None or not key.owner.is_active:
        return None
    if not key.used_recently():
        APIKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    if len(_known) >= _KNOWN_KEYS:
        _known.clear()
    _known[key.digest] = (key, time.monotonic() + _KNOWN_SECONDS)
    return key


def _digest(secret: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
