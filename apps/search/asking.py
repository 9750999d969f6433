"""What models say while somebody waits: vectors of what is searched with, and what a bridge says of pairs. Most is
asked for once and remembered for an hour: the next page of results, another order and a shared link ask no model."""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import redis
from django.core.cache import cache

from apps.accounts.models import APIKey, User
from apps.quotas import services as quotas
from apps.search import embedding, storing, vectors
from apps.search.models import Index
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.connection import client
from apps.serving.services import Target
from contracts import names
from contracts.messages import Event

_REMEMBERED = 3600  # seconds
_PATIENCE = 20.0  # seconds that a page waits for a vector
_ENDS = {Event.DONE, Event.ERROR}
Crop = tuple[float, float, float, float]  # left, top, right, bottom in shares


class NotUnderstood(ValueError):
    """The model refuses what is searched with; says why."""


def texts(index: Index, words: Sequence[str], who: User | APIKey) -> list[vectors.Vector]:
    """Raises what quotas.submit and embedding.target_of raise, and NotUnderstood."""
    return _remembered(index, list(words), lambda missing: {"texts": missing, "truncate": True}, who)


def images(index: Index, files: Sequence[tuple[str, Crop | None]], who: User | APIKey) -> list[vectors.Vector]:
    """Of thumbnails in the storage, or parts of them. Raises as `texts` does."""

    def inputs(missing: list[tuple[str, Crop | None]]) -> dict[str, Any]:
        return {
            "images": [embedding.encoded(storing.read(name)) for name, _ in missing],
            "crops": [list(crop) if crop else None for _, crop in missing],
        }

    return _remembered(index, list(files), inputs, who)


def likelihood(logit: float) -> float:
    """Of belonging together."""
    return 1 / (1 + math.exp(-max(logit, -700)))


def matches(index: Index, text: str, files: Sequence[str], who: User | APIKey) -> list[float]:
    """Logits by the index's bridge: how well thumbnails fit a text. Raises as `texts` does, and OSError."""
    keys = {name: _key(index, ["match", text, name]) for name in files}
    known: dict[str, float] = cache.get_many(keys.values())
    missing = [name for name in files if keys[name] not in known]
    if missing:
        inputs = {"images": [embedding.encoded(storing.read(name)) for name in missing], "texts": [text]}
        found = ask(embedding.target_of(index), inputs | {"truncate": True}, who)["matches"]
        fresh = {keys[name]: match for name, match in zip(missing, found, strict=True)}
        cache.set_many(fresh, _REMEMBERED)
        known |= fresh
    return [known[keys[name]] for name in files]


def explained(target: Target, text: str, file: str, who: User | APIKey) -> dict[str, Any]:
    """Of a thumbnail and a text what a bridge says, with what each word adds and where it looks. Raises as `texts`
    does."""
    inputs = {"images": [embedding.encoded(storing.read(file))], "texts": [text], "truncate": True, "explain": True}
    return ask(target, inputs, who)


def _remembered(index: Index, wanted: list[Any], inputs: Any, who: User | APIKey) -> list[vectors.Vector]:
    keys = {one: _key(index, one) for one in wanted}
    known = cache.get_many(keys.values())
    missing = [one for one in dict.fromkeys(wanted) if keys[one] not in known]
    if missing:
        found = _ask(index, inputs(missing), who)
        fresh = {keys[one]: vector.tobytes() for one, vector in zip(missing, found, strict=True)}
        cache.set_many(fresh, _REMEMBERED)
        known |= fresh
    return [vectors.from_bytes(known[keys[one]]) for one in wanted]


def _key(index: Index, one: Any) -> str:
    said = json.dumps([index.version.digest, one], ensure_ascii=False)
    return f"search:vector:{hashlib.sha256(said.encode()).hexdigest()}"


def _ask(index: Index, inputs: dict[str, Any], who: User | APIKey) -> vectors.Vector:
    return vectors.from_answer(ask(embedding.target_of(index), inputs, who))


def ask(target: Target, inputs: dict[str, Any], who: User | APIKey) -> dict[str, Any]:
    """The result of a request that somebody waits for. Raises what quotas.submit raises, and NotUnderstood."""
    owner_id = who.owner_id if isinstance(who, APIKey) else who.pk
    request = serving.build_request(target=target, inputs=inputs, tenant=str(owner_id), is_streamed=False)
    quotas.submit(request=request, who=who, target=target)
    transcript = _wait(request.request_id)
    if transcript.result:
        return transcript.result
    raise NotUnderstood(transcript.error.get("message") or "The answer was lost. Ask again.")


def _wait(request_id: str) -> requests.Transcript:
    """To its end. Raises NoWorker when that does not come in time; the worker is then told to stop."""
    ends, last = time.monotonic() + _PATIENCE, "0"
    try:
        while (left := ends - time.monotonic()) > 0:
            read: Any = client().xread({names.stream_key(request_id): last}, block=max(1, int(1000 * left)))
            for _, entries in read:
                last = entries[-1][0]
                if any(fields["event"] in _ENDS for _, fields in entries):
                    return requests.transcript(request_id)
        serving.stop(request_id=request_id)
    except redis.RedisError as error:
        raise serving.no_redis(error) from error
    raise serving.NoWorker("The model did not answer in time.", retry_after=5)
