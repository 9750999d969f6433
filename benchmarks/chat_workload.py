"""Rounds of the chat benchmark: which prompts arrive when. Plain data, the same for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_TOPICS = (
    "the sea", "a lighthouse", "bread", "the night train", "winter", "a clockmaker", "rivers", "the desert",
    "an old library", "bees", "the moon", "a garden", "music", "mountains", "a market", "the first snow",
)  # fmt: skip
_FILLER = (
    "It had rained all week and the harbour was quiet. The keeper wrote down the wind, the tide and the names "
    "of the ships, as every evening, and put the lamp in order before it grew dark. "
)


@dataclass(frozen=True, slots=True)
class Round:
    """`prompts` are token ids, `arrivals` seconds after the start."""

    prompts: list[list[int]]
    arrivals: list[float]
    new_tokens: int

    def as_dict(self) -> dict[str, Any]:
        return {"prompts": self.prompts, "arrivals": self.arrivals, "new_tokens": self.new_tokens}


def make_round(
    encode: Callable[[dict[str, Any]], list[int]], streams: int, number: int, *, new_tokens: int, stagger: float
) -> Round:
    """Every fourth prompt is long (about 250 tokens), the others short (about 45).

    The system message differs from the first words on between streams and rounds, so no engine can
    save work by a prefix it has seen.
    """
    prompts = [encode({"messages": _messages(stream, number)}) for stream in range(streams)]
    return Round(prompts, [stream * stagger for stream in range(streams)], new_tokens)


def _messages(stream: int, number: int) -> list[dict[str, str]]:
    topic = _TOPICS[(stream + number) % len(_TOPICS)]
    background = _FILLER * 5 if (stream + number) % 4 == 3 else ""
    return [
        {"role": "system", "content": f"{number * 100 + stream} is the number of this session."},
        {"role": "user", "content": f"{background}Write a story about {topic} for a child of ten."},
    ]
