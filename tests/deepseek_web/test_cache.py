"""Threads share the connections of the cache."""

from concurrent.futures import ThreadPoolExecutor

from django.core.cache import caches


def pool() -> object:
    caches["default"].set("here", 1)
    return caches["default"]._cache._get_connection_pool(write=True)


def test_threads_share_one_pool() -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert one.submit(pool).result() is other.submit(pool).result() is pool()
