"""The weights of a BERT checkpoint in our encoder, whatever attention it has. Names as transformers writes them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .v1_dynamic_attention import Encoder

_LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}


def load_bert(
    encoder: Encoder, weights: dict[str, Tensor], layers: Sequence[int], vocabulary: Sequence[int] | None = None
) -> None:
    """Copy the weights of the layers named, and of the tokens kept (all when left out).

    What BERT does not have, the range and the mass of dyadic attention, stays as it was. The vector of the first
    token type, which every token of a single text gets, is added to the positions. Raises KeyError and, for another
    size, RuntimeError.
    """
    weights = {name.removeprefix("bert."): value for name, value in weights.items()}
    words = weights["embeddings.word_embeddings.weight"]
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    own = encoder.state_dict()
    own["embeddings.word.weight"] = words if vocabulary is None else words[list(vocabulary)]
    rows = own["embeddings.position.weight"].shape[0]
    own["embeddings.position.weight"] = positions.repeat(-(-rows // len(positions)), 1)[:rows]
    for kind in ("weight", "bias"):
        own[f"embeddings.norm.{kind}"] = weights[f"embeddings.LayerNorm.{kind}"]
        for place, layer in enumerate(layers):
            for ours, theirs in _LAYER.items():
                own[f"layers.{place}.{ours}.{kind}"] = weights[f"encoder.layer.{layer}.{theirs}.{kind}"]
    encoder.load_state_dict(own)
