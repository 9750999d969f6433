"""Why a picture was found, and what a model answers about one: shares of the score, words, and where words looked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.accounts.models import APIKey, User
from apps.quotas.words import NOT_NOW
from apps.quotas.words import why as why_not_now
from apps.search import asking, embedding
from apps.search.models import Picture
from apps.search.query import Part, Query
from apps.search.searching import Search, logits
from apps.serving import services as serving
from apps.serving.services import Target

ANSWERING = "visual-question-answering"
# Opacity by how many times the mean share a place has, so that maps of two words compare and one that looks everywhere
# stays pale.
_MEAN, _STRONGEST, _FAINT = 0.2, 0.8, 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """A field of the grid in per cent of the picture's sides, and how strongly it is coloured."""

    left: float
    top: float
    side: float
    opacity: float


@dataclass(frozen=True, slots=True)
class Word:
    """What it adds to the bridge's logit, and where it looked."""

    text: str
    weight: float
    shares: list[float]  # of grid x grid places, row by row
    places: list[Place]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a bridge says of one picture and one text. `places` is of all words together."""

    grid: int
    words: list[Word]
    places: list[Place]
    match: float  # likelihood of belonging together
    answers: list[tuple[str, float]]  # the best first

    @property
    def strongest(self) -> float:
        return max((abs(word.weight) for word in self.words), default=0.0)


@dataclass(frozen=True, slots=True)
class Why:
    """`parts` add up to the score. `looked` is None without a bridge or without words; `problem` says why it cannot be
    asked just now."""

    score: float
    parts: list[tuple[Part, float]]
    looked: Looked | None = None
    problem: str = ""


def why(*, picture: Picture, query: Query, user: User, key: APIKey | None = None) -> Why | None:
    """None for a query without parts and for a picture that no index has. Raises BadQuery, and what `asking` raises for
    the parts."""
    search = Search(collection=picture.collection, query=query, user=user, key=key)
    parts = search.shares(picture) if query.parts else []
    if not parts:
        return None
    score, looked, problem = sum(share for _, share in parts), None, ""
    if search.has_bridge and query.text:
        try:
            target = embedding.target_of(search.index)
            said = asking.explained(target, query.text, picture.thumbnail, key or user)
            looked = _looked(query.text, said, float(logits(search.index.version.manifest, score)))
        except NOT_NOW as error:
            problem = why_not_now(error)
        except (asking.NotUnderstood, OSError) as error:
            problem = str(error)
    return Why(score, parts, looked, problem)


def answering(deployment: str) -> Target:
    """Raises UnknownDeployment, WrongTask, NoWorker."""
    return serving.route(deployment, task=ANSWERING)


def answer(*, target: Target, thumbnail: str, question: str, who: User | APIKey) -> Looked:
    """Of a picture in the storage. Raises what `asking` raises."""
    return _looked(question, asking.explained(target, question, thumbnail, who))


def _looked(text: str, said: dict[str, Any], own: float = 0.0) -> Looked:
    """`own` is what the vectors say, as a logit."""
    grid, rows = int(said["grid"]), said["words"]
    words = [
        Word(text[row["start"] : row["end"]], row["weight"], row["map"], _places(row["map"], grid)) for row in rows
    ]
    everywhere = np.mean([row["map"] for row in rows], axis=0) if rows else np.zeros(grid**2)
    answers = [(str(label), float(share)) for label, share in said.get("answers", [[]])[0]]
    return Looked(grid, words, _places(everywhere, grid), asking.likelihood(own + said["matches"][0]), answers)


def _places(shares: Sequence[float], grid: int) -> list[Place]:
    side = 100 / grid
    drawn = [min(_MEAN * share * grid**2, _STRONGEST) for share in shares]
    return [
        Place(side * (n % grid), side * (n // grid), side, opacity)
        for n, opacity in enumerate(drawn)
        if opacity > _FAINT
    ]
