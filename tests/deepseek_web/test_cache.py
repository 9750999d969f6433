"""Threads share the connections of the cache, and what is in it is JSON: nothing that is read there runs code."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.sessions.backends.cached_db import SessionStore
from django.core.cache import cache, caches
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.search import vectors
from apps.serving import connection


def pool() -> object:
    caches["default"].set("here", 1)
    return caches["default"]._cache._get_connection_pool(write=True)


def put(key: str, data: bytes) -> None:
    """As somebody who has Redis and not us."""
    connection.client().set(cache.make_key(key), data)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_threads_share_one_pool() -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert one.submit(pool).result() is other.submit(pool).result() is pool()


def test_a_pickle_is_not_there_and_runs_nothing(tmp_path: Path) -> None:
    for number, data in enumerate((pickle.dumps(Bomb(tmp_path / "ran")), pickle.dumps([1.5], 0), b"[" * 10_000)):
        put(f"old-{number}", data)
        assert cache.get(f"old-{number}", "missing") == "missing"
        assert cache.get_many([f"old-{number}"]) == {}
        assert cache.get_or_set(f"old-{number}", lambda: True) is True
        cache.set(f"old-{number}", [2.5])
        assert cache.get(f"old-{number}") == [2.5]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [True, 7, 1.25, "猫", [1.5, 2.5], {"a": [None]}])
def test_what_is_kept_is_json_and_comes_back(value: object) -> None:
    cache.set("kept", value)
    assert json.loads(connection.client().get(cache.make_key("kept"))) == cache.get("kept") == value


def test_redis_counts_integers() -> None:
    cache.set("count", 1)
    assert (cache.incr("count"), cache.get("count")) == (2, 2)


def test_a_vector_comes_back_as_it_was() -> None:
    vector = np.random.default_rng(0).standard_normal(384).astype(np.float32)
    cache.set("vector", vectors.packed(vector))
    assert np.array_equal(vectors.unpacked(cache.get("vector")), vector)


@pytest.mark.django_db
def test_a_session_of_before_the_upgrade_is_read_from_the_database(client: Client) -> None:
    user = User.objects.create_user("ann@example.com", "a long password")
    client.force_login(user)
    store = SessionStore(client.session.session_key)
    assert isinstance(json.loads(connection.client().get(cache.make_key(store.cache_key))), dict)
    put(store.cache_key, pickle.dumps({"_auth_user_id": "0"}))
    assert client.get(reverse("accounts:profile")).status_code == 200
