"""Redis clients of the Django side, one pool a process."""

import asyncio
from collections.abc import Callable
from functools import cache, wraps
from typing import TypeVar

import redis
import redis.asyncio
from django.conf import settings

T = TypeVar("T")


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)


def async_client() -> "redis.asyncio.Redis":
    """A new client: an asyncio connection belongs to the loop that opened it."""
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, decode_responses=True)


def one_per_loop(make: Callable[[], T]) -> Callable[[], T]:
    """The object of the running event loop, made when it is asked for first. Those of closed loops are let go."""
    made: dict[asyncio.AbstractEventLoop, T] = {}

    @wraps(make, updated=())
    def of_this_loop() -> T:
        loop = asyncio.get_running_loop()
        for closed in [other for other in made if other.is_closed()]:
            del made[closed]
        if loop not in made:
            made[loop] = make()
        return made[loop]

    return of_this_loop
