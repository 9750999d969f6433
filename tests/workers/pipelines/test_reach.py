"""The picture of a dynamic range: counted against the definition, key by key."""

import numpy as np
import pytest

from workers.backends.base import BackendError
from workers.pipelines.reach import Attention

pytestmark = pytest.mark.unit
SHAPE = {"window": 8, "summaries": 2, "levels": 3, "global_tokens": 1}


def counted(attention: Attention, place: int, level: float, tokens: int) -> int:
    """Keys of one token, by walking over the blocks and summaries that the definition names."""
    w, c, block = attention.window, attention.summaries, place // attention.window
    seen = attention.global_tokens
    for other in (block - 1, block, block + 1):
        seen += sum(0 <= other * w + each < tokens for each in range(w))
    for j in range(1, attention.levels + 1):
        if level <= j - 1:
            continue
        pooled = w * 2 ** (j - 1) // c
        for first in ((block - 2**j) * w, (block + 2 ** (j - 1) + 1) * w):
            for each in range(c):
                start = first + each * pooled
                # a summary counts when its block starts within the text
                seen += start // w * w >= 0 and start // w * w < tokens and start < ((tokens - 1) // w + 1) * w
    return min(seen, tokens)


@pytest.mark.parametrize("tokens", [5, 64, 100, 129])
def test_keys_are_those_of_the_definition(tokens: int) -> None:
    attention = Attention.of({"range": SHAPE})
    assert attention is not None
    levels = np.random.default_rng(0).uniform(0, 3, (2, 2, tokens)).astype(np.float32)
    keys = attention.keys(levels)
    expected = [[[counted(attention, t, head[t], tokens) for t in range(tokens)] for head in layer] for layer in levels]
    assert np.abs(keys - np.array(expected)).max() <= 2  # a summary that is cut by the end of the text counts in part


def test_picture_is_the_mean_of_each_part() -> None:
    attention = Attention.of({"range": SHAPE})
    assert attention is not None
    reach = np.tile(np.repeat([0.0, 3.0], 64), (2, 1, 1)).astype(np.float32)  # (2, 1, 128)
    picture = attention.picture(reach)
    assert (picture["shape"], picture["tokens"], len(picture["reach"][0][0])) == ([2, 1], 128, 64)
    assert picture["reach"][1][0] == [0.0] * 32 + [3.0] * 32
    assert 0 < picture["keys"] < 128


def test_a_model_with_another_attention_has_no_picture() -> None:
    assert Attention.of({}) is None
    with pytest.raises(BackendError, match="range"):
        Attention.of({"range": {"window": 8}})
