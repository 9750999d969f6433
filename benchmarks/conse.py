"""What was there before anything was trained here: MobileNetV2 of ImageNet and MiniLM, joined by the classes' names.

ConSE (Norouzi et al. 2014, arXiv:1312.5650): a picture lies where the names of its ten likeliest classes lie, each as
much as it is likely. MiniLM reads no Chinese.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from workers.data import imagenet, minilm
from workers.zoo.bert_weights import load_bert
from workers.zoo.full_attention import FullAttention
from workers.zoo.mobilenet import MobileNet, load_imagenet
from workers.zoo.v1_dynamic_attention import Encoder, V1Config

LIKELIEST = 10


class Conse:
    """Raises DataMissing."""

    def __init__(self) -> None:
        self.network = MobileNet().eval()
        self.classes = load_imagenet(self.network, torch.load(imagenet.weights(), weights_only=True))
        sizes = (minilm.WIDTH, minilm.LAYERS, minilm.HEADS, minilm.HIDDEN, minilm.POSITIONS)
        self.encoder = Encoder(V1Config(30522, 1, *sizes, dropout=0.0, global_tokens=1), FullAttention).eval()
        load_bert(self.encoder, load_file(minilm.file("model.safetensors")), range(minilm.LAYERS))
        self.tokenizer = Tokenizer.from_file(str(minilm.file("tokenizer.json")))
        self.tokenizer.no_truncation()
        self.tokenizer.enable_padding(pad_id=0)
        names = imagenet.class_names()
        vectors = self.texts([name for synonyms in names for name in synonyms]).split([len(one) for one in names])
        self.named = F.normalize(torch.stack([one.mean(0) for one in vectors]), dim=-1)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """[N, 384], of length one."""
        found = []
        for begin in range(0, len(texts), 64):
            encodings = self.tokenizer.encode_batch(list(texts[begin : begin + 64]))
            mask = torch.tensor([one.attention_mask for one in encodings])
            hidden, _ = self.encoder(torch.tensor([one.ids for one in encodings]), mask)
            found.append((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
        return F.normalize(torch.cat(found), dim=-1)

    @torch.inference_mode()
    def pictures(self, pixels: Tensor) -> Tensor:
        """[N, 3, Y, X], normalised as ImageNet's are; [N, 384]."""
        likely = torch.cat([self.classes(self.network(part)[-1].mean((2, 3))) for part in pixels.split(32)]).softmax(-1)
        most = likely.topk(LIKELIEST)
        return F.normalize((most.values[..., None] * self.named[most.indices]).sum(1), dim=-1)
