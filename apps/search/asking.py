"""What models say while somebody waits: vectors of what is searched with, and what a bridge says of pairs. Most is
asked for once and remembered for an hour: the next page of results, another order and a shared link ask no model."""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from django.core.cache import cache

from apps.accounts.models import APIKey, User
from apps.files import storing
from apps.quotas.waiting import NotUnderstood, ask
from apps.search import embedding, vectors
from apps.search.models import Index
from apps.serving.services import Target

__all__ = ["NotUnderstood", "ask", "explained", "images", "likelihood", "matches", "texts"]

_REMEMBERED = 3600  # seconds
Crop = tuple[float, float, float, float]  # left, top, right, bottom in shares


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
        fresh = {keys[one]: vectors.packed(vector) for one, vector in zip(missing, found, strict=True)}
        cache.set_many(fresh, _REMEMBERED)
        known |= fresh
    return [vectors.unpacked(known[keys[one]]) for one in wanted]


def _key(index: Index, one: Any) -> str:
    said = json.dumps([index.version.digest, one], ensure_ascii=False)
    return f"search:vector:{hashlib.sha256(said.encode()).hexdigest()}"


def _ask(index: Index, inputs: dict[str, Any], who: User | APIKey) -> vectors.Vector:
    return vectors.from_answer(ask(embedding.target_of(index), inputs, who))
