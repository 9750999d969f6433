"""Django's Redis cache with JSON in it, and one pool of connections for the whole process.

Django makes a cache object for each thread, and under ASGI each request has a thread of its own: every page would open
a connection to Redis and close it again.
"""

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

from django.core.cache.backends.redis import RedisCache, RedisCacheClient


class JSONSerializer:
    """In the place of Django's, which is pickle: with that, whoever can write to Redis runs code where it is read."""

    def dumps(self, obj: Any) -> bytes:
        """Raises TypeError for what is no JSON."""
        return json.dumps(obj).encode()  # integers stay as Redis counts them

    def loads(self, data: Any) -> Any:
        return json.loads(data)


class JSONCacheClient(RedisCacheClient):
    """What cannot be read is not there: what was written before an upgrade, or by somebody else."""

    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, serializer=JSONSerializer(), **options)

    def get(self, key: Any, default: Any) -> Any:
        return self.get_many([key]).get(key, default)

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        this: Any = self  # the stubs do not know what Django keeps here
        keys, found = list(keys), dict[Any, Any]()
        for key, data in zip(keys, this.get_client(None).mget(keys), strict=True):
            if data is None:
                continue
            try:
                found[key] = this._serializer.loads(data)
            except (ValueError, RecursionError):
                continue
        return found


class SharedRedisCache(RedisCache):
    _clients: ClassVar[dict[tuple[str, ...], JSONCacheClient]] = {}

    @cached_property
    def _cache(self) -> Any:
        """Clients and pools of redis-py may be used from any thread."""
        this: Any = self  # the stubs do not know what Django keeps here
        servers = tuple(this._servers)
        return self._clients.setdefault(servers, JSONCacheClient(this._servers, **this._options))
