"""Gradient steps on strengths: on a toy whose classes are told by one word of five."""

import numpy as np
import torch

from tests.workers import toy_lessons
from workers.data import vocabulary
from workers.training import refining
from workers.training.refining import PARTS, STEPS, Examples, ascend, distances, parts, refine
from workers.zoo.v5_towers import begin_as_drawn

RANK, CLASSES = 8, 3


def tower():
    base = toy_lessons.base(RANK)
    begin_as_drawn(base)
    return base.requires_grad_(False)


def drawn(each, seed=0):
    """The class's own word among four that say nothing."""
    source, first = np.random.default_rng(seed), len(vocabulary.SPECIAL)
    labels = np.repeat(np.arange(CLASSES), each)
    noise = [source.choice(np.arange(CLASSES, len(toy_lessons.WORDS)), 4) for _ in labels]
    rows = [source.permutation([label, *words]) + first for label, words in zip(labels, noise, strict=True)]
    return [row.tolist() for row in rows], labels


def collate(payloads):
    return torch.tensor(payloads)


def nothing(base):
    return np.zeros(base.ranks, np.float32)


def accuracy(base, taught, asked, strengths):
    (payloads, labels), (others, wanted) = taught, asked
    both = Examples([*payloads, *others], np.concatenate([labels, wanted]), CLASSES, 1.0)
    rest, out = np.arange(len(labels)), np.arange(len(labels), len(both.labels))
    return (distances(base, collate, both, rest, out, torch.from_numpy(strengths)).argmin(1) == wanted).mean()


def test_steps_that_pay_tell_more_of_what_nobody_has_seen():
    base, taught, asked = tower(), drawn(10), drawn(100, seed=1)
    before = {name: one.clone() for name, one in base.state_dict().items()}
    told = []
    found = refine(base, collate, Examples(*taught, CLASSES, 10 / 16), nothing(base), told.append)

    assert 0 < found.steps <= STEPS and found.strengths.any()
    right = [(far.argmin(1) == taught[1]).mean() for far in (found.before, found.left_out)]
    assert right[1] > right[0]
    assert accuracy(base, taught, asked, found.strengths) > accuracy(base, taught, asked, nothing(base)) + 0.01
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 1
    assert all(torch.equal(one, before[name]) for name, one in base.state_dict().items())


def test_what_is_told_right_already_is_not_refined():
    base, first = tower(), len(vocabulary.SPECIAL)
    labels = np.repeat(np.arange(CLASSES), 4)
    payloads = [[label + first] * 2 for label in labels]
    found = refine(base, collate, Examples(payloads, labels, CLASSES, 10 / 16), nothing(base), lambda share: None)
    assert found.steps == 0 and not found.strengths.any()
    assert np.array_equal(found.before, found.left_out)


def test_what_is_left_out_has_no_part(monkeypatch):
    """Changing an example changes how others are told, and not how it would be told itself without it."""
    monkeypatch.setattr(refining, "STEPS", 4)
    base, (payloads, labels) = tower(), drawn(5)
    examples = Examples(payloads, labels, CLASSES, 10 / 16)
    (out, *_) = parts(labels)
    rest = np.setdiff1d(np.arange(len(labels)), out)
    other = [payloads[(at + 7) % len(payloads)] if at in out else row for at, row in enumerate(payloads)]
    ends = [list(ascend(base, collate, one, rest, nothing(base)))[-1]
            for one in (examples, Examples(other, labels, CLASSES, 10 / 16))]  # fmt: skip
    assert torch.equal(*ends) and ends[0].any()


def test_every_class_is_in_every_part():
    labels = np.array([0] * 4 + [1] * 9 + [2] * 20)
    found = list(parts(labels))
    assert len(found) == PARTS
    assert sorted(np.concatenate(found)) == list(range(len(labels)))
    assert all({0, 1, 2} == set(labels[part]) for part in found)


def test_the_loss_leaves_each_example_out():
    """Against means that are taken anew without it."""
    torch.manual_seed(0)
    features, labels = torch.randn(9, 4), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2])
    rows = []
    for at, label in enumerate(labels):
        kept = torch.arange(9) != at
        far = torch.stack([
            (features[at] - features[kept & (labels == one)].mean(0)).square().sum() for one in range(3)
        ])  # fmt: skip
        rows.append(torch.log_softmax(-0.5 * far, 0)[label])
    examples = Examples([], labels.numpy(), 3, 0.5)
    torch.testing.assert_close(refining._loss(features, labels, examples), -torch.stack(rows).mean())


def test_many_examples_are_a_step_of_some_of_each_class():
    labels = np.repeat(np.arange(4), 40)
    examples = Examples([], labels, 4, 1.0)
    some = refining._some(examples, np.arange(160), np.random.default_rng(0))
    assert np.bincount(labels[some]).tolist() == [16] * 4
