"""Bearer keys: who asks, and whether the key was made for that."""

import time

from allauth.core.internal import ratelimit
from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from ninja.security import HttpBearer
from redis.exceptions import RedisError

from apps.accounts.keys import authenticate_key, known_key
from apps.accounts.models import APIKey, Scope
from apps.accounts.permissions import is_administrator, may_send
from apps.api.errors import APIError
from apps.quotas.admission import standing
from apps.serving.services import UnknownDeployment

COSTLY = {Scope.CHAT, Scope.EMBEDDINGS, Scope.CLASSIFY, Scope.SEARCH, Scope.ANOMALY}


class KeyAuth(HttpBearer):
    """Lets a key in that has the scope. tests/access holds every operation to naming one."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    async def authenticate(self, request: HttpRequest, token: str) -> APIKey | None:  # type: ignore[override]
        request.began_at = time.perf_counter()  # type: ignore[attr-defined]
        standing.set(None)
        key = known_key(token) or await sync_to_async(looked_up)(request, token)
        if key is not None:
            check_scope(key, self.scope)
            check_role(key, self.scope)
        return key


@sensitive_variables("secret")
def looked_up(request: HttpRequest, secret: str) -> APIKey | None:
    """As authenticate_key. Raises a 429 where too many wrong ones came from one address; right ones are not counted."""
    key = authenticate_key(secret)
    if key is None and not _may_fail(request):
        error = APIError(
            429, "Too many wrong API keys came from this address. Wait a minute.", kind="rate_limit_exceeded"
        )
        error.headers["Retry-After"] = "60"
        raise error
    return key


def _may_fail(request: HttpRequest) -> bool:
    """Counted as failed attempts to sign in are (ACCOUNT_RATE_LIMITS)."""
    try:
        return bool(ratelimit.consume(request, app="allauth.account", action="api_key_failed", limit_get=True))
    except (RedisError, PermissionDenied):  # nothing to count with, or no address to count for
        return True


def may(key: APIKey, scope: Scope) -> bool:
    """`admin` counts while the owner is an administrator, with a second factor where the organisation wants one."""
    return scope in key.scopes and (scope != Scope.ADMIN or (is_administrator(key.owner) and key.may_administer))


def check_scope(key: APIKey, scope: Scope) -> None:
    """Raises a 403 that says what is missing."""
    if may(key, scope):
        return
    if scope in key.scopes and is_administrator(key.owner):
        raise second_factor_required()
    message = (
        f"This key lacks the scope {scope.value!r}; it has {', '.join(key.scopes)}. Make one with it on the keys page."
    )
    raise APIError(403, message, kind="insufficient_permissions", code="missing_scope", scope=scope.value)


def second_factor_required() -> APIError:
    message = "Administrators need a second factor here. Set one up on the page of your profile; then this works."
    return APIError(403, message, kind="insufficient_permissions", code="second_factor_required")


def check_role(key: APIKey, scope: Scope) -> None:
    """A key of somebody who has become a viewer may only look. Raises a 403 that says so."""
    if scope in COSTLY and not may_send(key.owner):
        message = "The owner of this key is a viewer, who may look but not send. Ask an administrator for another role."
        raise APIError(403, message, kind="insufficient_permissions", code="viewer")


def check_model(key: APIKey, name: str) -> None:
    """A deployment that the key is not for does not exist for it. Raises UnknownDeployment."""
    if not key.may_use(name):
        raise UnknownDeployment(name, key.deployments)


def check_any_model(key: APIKey, name: str) -> None:
    """As check_model, where no name means "whichever is ready": a key that is for some has to say which. Raises
    ValueError, UnknownDeployment."""
    if not name and key.deployments:
        raise ValueError(f"model: name one; this key is for {', '.join(key.deployments)} only")
    if name:
        check_model(key, name)


def server_timing(request: HttpRequest) -> str:
    """What it took from the key to the place in the queue, as the header Server-Timing says it (milliseconds)."""
    taken = time.perf_counter() - request.began_at  # type: ignore[attr-defined]
    return f"admission;dur={1000 * taken:.2f}"
