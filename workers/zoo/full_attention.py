"""Every token looks at every other: what dyadic range attention is compared with, in the same encoder.

Vaswani et al. 2017, arXiv:1706.03762. Letters: B batch, T tokens, H heads, D head width, C width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .v1_dynamic_attention import V1Config


class FullAttention(nn.Module):
    """torch's scaled dot product attention. Has the weights' names of DynamicAttention."""

    def __init__(self, config: V1Config) -> None:
        super().__init__()
        self.config = config
        self.query, self.key, self.value = (nn.Linear(config.width, config.width) for _ in range(3))

    def prepare(self, mask: Tensor) -> Tensor:
        """[B, 1, 1, T]: where a key is"""
        return mask[:, None, None, :] > 0

    def forward(self, x: Tensor, layout: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, C] to [B, T, C], and all levels [B, T, H]."""
        mixed = self.attend(self.query(x), self.key(x), self.value(x), layout)
        return mixed, x.new_full((*x.shape[:2], self.config.heads), self.config.levels)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, present: Tensor) -> Tensor:
        """[B, T, C] each"""
        sizes = self.config.heads, self.config.head_width
        q, k, v = (part.unflatten(-1, sizes).transpose(1, 2) for part in (q, k, v))  # (B, H, T, D)
        return self.mix(q, k, v, present).transpose(1, 2).flatten(2)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, present: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=present)


class EagerAttention(FullAttention):
    """The same with the T x T scores in memory."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, present: Tensor) -> Tensor:
        scores = q @ k.transpose(-1, -2) * self.config.head_width**-0.5
        return torch.where(present, scores, -1e4).softmax(-1) @ v
