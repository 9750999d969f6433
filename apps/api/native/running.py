"""How an operation runs: in the request's thread, as a page does; what a service refuses becomes an error.

`in_thread` is for reading and for what may be done twice; `creating` for POSTs that make something.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any

import redis
from asgiref.sync import sync_to_async
from django.db import DataError
from django.http import HttpRequest
from ninja.operation import Operation
from ninja.utils import contribute_operation_callback
from pydantic import ValidationError

from apps.accounts.models import APIKey, Role, Scope, User
from apps.api.auth import may
from apps.api.errors import BAD_REQUEST, APIError, invalid
from apps.api.idempotency import once
from apps.quotas.admission import LimitReached
from apps.serving import services

View = Callable[..., Any]


def in_thread(view: View) -> View:
    """A synchronous view as an operation. Raises what the API answers as an error."""

    @functools.wraps(view)
    async def operation(request: HttpRequest, **values: Any) -> Any:
        return await sync_to_async(_carry_out)(view, request, values)

    return operation


def creating(view: View) -> View:
    """As in_thread; with an Idempotency-Key it is done once and answers the same again. Returns a Schema."""

    @functools.wraps(view)
    def act(request: HttpRequest, **values: Any) -> Any:
        return once(request, lambda: view(request, **values))

    operation = in_thread(act)
    contribute_operation_callback(operation, mark_repeatable)
    return operation


def mark_repeatable(operation: Operation) -> None:
    """Have the document say that the operation takes an Idempotency-Key."""
    operation.openapi_extra = {**(operation.openapi_extra or {}), "x-idempotent": True}


def key_of(request: HttpRequest) -> APIKey:
    return request.auth  # type: ignore[attr-defined,no-any-return]


def owner_of(request: HttpRequest) -> User:
    """In whose name the key acts."""
    return key_of(request).owner


def acting(request: HttpRequest) -> User:
    """The owner with the rights that the key has: without the scope admin an administrator is a member like others.
    Never saved."""
    owner = copy.copy(owner_of(request))
    if owner.is_administrator and not may(key_of(request), Scope.ADMIN):
        owner.role = Role.MEMBER
    return owner


def who(request: HttpRequest) -> dict[str, Any]:
    """The arguments by which every verb knows who asks and from where."""
    return {"actor": acting(request), "address": request.META.get("REMOTE_ADDR") or None}


def _carry_out(view: View, request: HttpRequest, values: dict[str, Any]) -> Any:
    try:
        return view(request, **values)
    except (services.WrongTask, ValidationError):
        raise  # the first has an answer of its own; the second is our mistake, not the client's
    except ValueError as error:
        if isinstance(error.__cause__, (LimitReached, services.NoWorker)):  # a job that a limit refuses
            raise error.__cause__ from error
        raise invalid(error) from error
    except DataError as error:  # a NUL in a text, a number that no column holds
        raise APIError(400, "A value of the request cannot be stored.", kind=BAD_REQUEST) from error
    except redis.RedisError as error:
        raise services.no_redis(error) from error
