"""Redis clients of the Django side, one pool a process."""

from functools import cache

import redis
import redis.asyncio
from django.conf import settings


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)


def async_client() -> "redis.asyncio.Redis":
    """A new client: an asyncio connection belongs to the loop that opened it."""
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, decode_responses=True)
