"""Django's Redis cache with one pool of connections for the whole process.

Django makes a cache object for each thread, and under ASGI each request has a thread of its own: every page would open
a connection to Redis and close it again.
"""

from functools import cached_property
from typing import Any, ClassVar

from django.core.cache.backends.redis import RedisCache, RedisCacheClient


class SharedRedisCache(RedisCache):
    _clients: ClassVar[dict[tuple[str, ...], RedisCacheClient]] = {}

    @cached_property
    def _cache(self) -> Any:
        """Clients and pools of redis-py may be used from any thread."""
        this: Any = self  # the stubs do not know what Django keeps here
        servers = tuple(this._servers)
        return self._clients.setdefault(servers, this._class(this._servers, **this._options))
