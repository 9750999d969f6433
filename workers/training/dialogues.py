"""Conversations as tokens of a model's own chat template, with a mark on those that are learned: the answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from contracts.conversations import Conversation
from workers.pipelines.chat_tokenizer import ChatTokenizer

from .texts import batches_of_pass

IGNORED = -100  # a label that no loss is computed of
_VALIDATED = 0.1  # share of the conversations
_MOST_VALIDATED = 100


class NotLearned(ValueError):
    """Why this conversation cannot be learned from."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    conversation: Conversation
    ids: list[int]
    is_learned: list[bool]  # of each token


@dataclass(frozen=True, slots=True)
class Batch:
    ids: Tensor  # [B, T]
    mask: Tensor  # [B, T]
    labels: Tensor  # [B, T]: the token itself where it is learned, else IGNORED


def encode(conversation: Conversation, tokenizer: ChatTokenizer, longest: int) -> Dialogue:
    """Raises NotLearned."""
    messages = [{"role": one.role, "content": one.content} for one in conversation.messages]
    try:
        text = tokenizer.render(messages, is_asked=False)
        spans = [
            _span(messages, place, text, tokenizer)
            for place, one in enumerate(conversation.messages)
            if one.is_learned
        ]  # fmt: skip
    except ValueError as error:
        raise NotLearned(str(error)) from error
    if spans[-1] is None:
        raise NotLearned("the model's template does not tell where its answer begins")
    end = spans[-1][1]
    ids, marks = tokenizer.encode_marked(text[:end], [span for span in spans if span is not None])
    if tokenizer.eos_ids and ids[-1] not in tokenizer.eos_ids:  # not every template ends the last answer
        ids, marks = [*ids, min(tokenizer.eos_ids)], [*marks, True]
    if len(ids) > longest:
        raise NotLearned(f"it has {len(ids)} tokens, more than {longest}")
    return Dialogue(conversation, ids, marks)


def _span(messages: list[dict[str, str]], place: int, text: str, tokenizer: ChatTokenizer) -> tuple[int, int] | None:
    """Where an answer and the token that ends it stand in the text of all messages; None where the template writes
    earlier ones differently."""
    before = tokenizer.render(messages[:place])
    after = tokenizer.render(messages[: place + 1], is_asked=False)
    if not text.startswith(before) or not text.startswith(after):
        return None
    answer = tokenizer.hide(messages[place]["content"]).strip()
    begin = text.find(answer, len(before), len(after))
    if begin < 0:
        return None
    end = begin + len(answer)
    ends = [at + len(one) for one in tokenizer.endings if (at := text.find(one, end, len(after))) >= 0]
    return len(before), min(ends, default=end)


def split(dialogues: list[Dialogue], seed: int) -> tuple[list[Dialogue], list[Dialogue]]:
    """To learn from, and to validate with. Equal conversations are on the same side."""
    kinds: dict[tuple[int, ...], list[Dialogue]] = {}
    for one in dialogues:
        kinds.setdefault(tuple(one.ids), []).append(one)
    keys = list(kinds)
    if len(keys) == 1:
        return dialogues, dialogues
    count = min(_MOST_VALIDATED, max(1, round(_VALIDATED * len(keys))))
    held_back = set(random.Random(seed).sample(range(len(keys)), count))
    learned = [one for place, key in enumerate(keys) if place not in held_back for one in kinds[key]]
    return learned, [kinds[keys[place]][0] for place in sorted(held_back)]


class Dialogues:
    def __init__(self, rows: list[Dialogue]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> int:
        """Of one pass."""
        return max(1, len(self) // size)

    def batch_of_step(self, step: int, size: int, seed: int) -> Batch:
        """The order follows from the seed and the pass."""
        count = self.batches(size)
        lengths = [len(row.ids) for row in self.rows]
        return self._batch(batches_of_pass(lengths, step // count, size, seed)[step % count])

    def in_order(self, size: int) -> Iterator[Batch]:
        """Every conversation once, the shortest first."""
        places = sorted(range(len(self)), key=lambda place: len(self.rows[place].ids))
        for begin in range(0, len(places), size):
            yield self._batch(places[begin : begin + size])

    def _batch(self, places: list[int]) -> Batch:
        rows = [self.rows[place] for place in places]
        longest = max(len(row.ids) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
        for place, row in enumerate(rows):
            end, tokens = len(row.ids), torch.tensor(row.ids)
            ids[place, :end], mask[place, :end] = tokens, 1
            labels[place, :end] = torch.where(torch.tensor(row.is_learned), tokens, IGNORED)
        return Batch(ids, mask, labels)
