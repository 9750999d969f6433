"""LoRA on a chat model: the answers of conversations are learned by low ranks beside each linear layer (peft).

The base is frozen and in no checkpoint. LoRA: Hu et al. 2021, arXiv:2106.09685.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from .dialogues import IGNORED, Batch, Dialogue, Dialogues
from .loop import Options, State, fit
from .progress import Say


@dataclass(frozen=True, slots=True)
class AdaptConfig:
    name: str
    base: str
    """sha256 of the original's files."""
    data: str
    """sha256 of the file of conversations."""
    rank: int = 8
    alpha: int = 16
    """The ranks count alpha / rank times."""
    dropout: float = 0.05
    layers: str = "all-linear"
    """Which layers get ranks, as peft calls them; the output layer never does."""
    longest: int = 1024
    options: Options = field(default_factory=Options)


class Ranks(nn.Module):
    """The weights that learn, as a model of their own: what a checkpoint holds. The base goes with them unseen."""

    def __init__(self, model: PeftModel) -> None:
        super().__init__()
        self._hidden = (model,)  # no child of this module
        learning = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.weights = nn.ParameterDict({name.replace(".", "/"): value for name, value in learning.items()})

    @property
    def whole(self) -> PeftModel:
        return self._hidden[0]

    def train(self, mode: bool = True) -> Ranks:
        self.whole.train(mode)
        return super().train(mode)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits [N, vocabulary] of the N tokens that are learned, and these tokens [N]."""
        logits = self.whole(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits[:, :-1]
        labels = batch.labels[:, 1:]
        is_learned = labels != IGNORED
        return logits[is_learned].float(), labels[is_learned]


class Adaptation:
    """The task that the loop trains."""

    def __init__(self, config: AdaptConfig, model: Ranks, train: list[Dialogue], validation: list[Dialogue]) -> None:
        self.config, self.model = config, model
        self._train, self._validation = Dialogues(train), Dialogues(validation)

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        return F.cross_entropy(*self.model(self._train.batch_of_step(step, options.batch_size, options.seed)))

    def validate(self) -> dict[str, float]:
        return score(self.model, self._validation, self.config.options.batch_size)


def score(model: Ranks, dialogues: Dialogues, size: int) -> dict[str, float]:
    """Of the tokens of all answers: the share that is the likeliest where it stands, and the mean loss."""
    right, loss, count = 0, 0.0, 0
    for batch in dialogues.in_order(size):
        logits, tokens = model(batch)
        right += int((logits.argmax(-1) == tokens).sum())
        loss += float(F.cross_entropy(logits, tokens, reduction="sum"))
        count += len(tokens)
    return {"score": right / count, "loss": loss / count}


def load(folder: Path, config: AdaptConfig) -> Ranks:
    """The model of a transformers folder with fresh ranks, which change nothing yet."""
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(config.options.seed)
    wanted = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=config.layers,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    adapted: Any = get_peft_model(base, wanted)
    return Ranks(adapted)


def train(
    config: AdaptConfig, model: Ranks, train: list[Dialogue], validation: list[Dialogue], folder: Path, say: Say,
    stop_at: int = 0,
) -> State:  # fmt: skip
    """From the beginning, or on from the folder's checkpoint. The model has the best ranks afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    state = fit(Adaptation(config, model, train, validation), config.options, folder, say, stop_at)
    model.eval()
    return state


@contextmanager
def as_before(model: Ranks) -> Iterator[None]:
    """The base without its ranks."""
    with model.whole.disable_adapter():
        yield


def greedy(model: Any, ids: list[int], eos_ids: frozenset[int], most: int) -> list[int]:
    """The likeliest continuation, token by token."""
    said: list[int] = []
    given, past = torch.tensor([ids]), None
    with torch.inference_mode():
        while len(said) < most:
            found = model(input_ids=given, cache=past, use_cache=True)
            token = int(found.logits[0, -1].argmax())
            if token in eos_ids:
                break
            said.append(token)
            given, past = torch.tensor([[token]]), found.cache
    return said
