"""Against transformers' logits processors, and against the distribution they define."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.messages import SamplingParams
from workers.engine.sampling import SamplingRow, TokenCounts, apply_penalties, draw, sample, truncated

VOCAB = 2000


def logits(rows=1, seed=0, spread=3.0):
    return (np.random.default_rng(seed).standard_normal((rows, VOCAB)) * spread).astype(np.float32)


def weights(row, temperature=1.0):
    return np.exp((row - row.max()) / temperature)


@pytest.mark.parametrize(
    "params",
    [
        {"top_k": 1},
        {"top_k": 40},
        {"top_k": 1500},
        {"top_p": 0.5},
        {"top_p": 0.95},
        {"top_p": 0.99999},
        {"min_p": 0.05},
        {"min_p": 1.0},
        {"temperature": 0.3, "top_p": 0.9},
        {"temperature": 2.0, "top_k": 50, "top_p": 0.8},
        {"temperature": 1.5, "top_k": 100, "top_p": 0.9, "min_p": 0.1},
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_tokens_survive_as_in_transformers(params, seed):
    torch = pytest.importorskip("torch")
    from transformers import generation

    row = logits(seed=seed)[0]
    scores = torch.from_numpy(row.copy())[None] / params.get("temperature", 1.0)
    if "top_k" in params:
        scores = generation.TopKLogitsWarper(params["top_k"])(None, scores)
    if "top_p" in params:
        scores = generation.TopPLogitsWarper(params["top_p"])(None, scores)
    if "min_p" in params:
        scores = generation.MinPLogitsWarper(params["min_p"])(None, scores)
    expected = torch.softmax(scores, -1)[0].numpy()

    ids, cumulated = truncated(weights(row, params.get("temperature", 1.0)), SamplingParams(**params))
    ours = np.zeros(VOCAB)
    ours[ids] = np.diff(cumulated, prepend=0.0) / cumulated[-1]

    assert set(ids.tolist()) == set(np.flatnonzero(expected).tolist())
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_repetition_penalty_equals_transformers():
    torch = pytest.importorskip("torch")
    from transformers import generation

    prompt, completion = [1, 5, 5, 9], [7, 5]
    counts = TokenCounts(prompt)
    for token in completion:
        counts.add(token)
    ours = logits()
    expected = generation.RepetitionPenaltyLogitsProcessor(1.3)(
        torch.tensor([prompt + completion]), torch.from_numpy(ours.copy())
    ).numpy()

    apply_penalties(ours, [SamplingRow(SamplingParams(repetition_penalty=1.3), 0, 6, counts)])

    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_frequency_and_presence_count_the_completion_only():
    counts = TokenCounts([3, 4])
    for token in [4, 8, 8]:
        counts.add(token)
    ours = np.zeros((2, 10), np.float32)

    apply_penalties(
        ours,
        [
            SamplingRow(SamplingParams(), 0, 0),
            SamplingRow(SamplingParams(frequency_penalty=0.5, presence_penalty=0.25), 0, 5, counts),
        ],
    )

    assert ours[0].tolist() == [0.0] * 10
    assert ours[1].tolist() == [0, 0, 0, 0, -0.75, 0, 0, 0, -1.25, 0]


def test_temperature_zero_takes_the_largest():
    values = logits(4)

    result = sample(values.copy(), [SamplingRow(SamplingParams(temperature=0, top_k=3), 0, 0)] * 4)

    assert result.token_ids == values.argmax(axis=1).tolist()


@pytest.mark.parametrize("params", [{}, {"top_p": 0.9}, {"top_k": 5}, {"temperature": 0.7, "min_p": 0.02}])
def test_draws_follow_the_distribution(params):
    values = np.array([2.0, 1.0, 0.5, 0.0, -1.0, -2.0, -4.0], np.float32)
    options = SamplingParams(**params)
    draws = 20000
    rows = [SamplingRow(options, 11, position) for position in range(draws)]

    drawn = draw(np.tile(values, (draws, 1)), rows)

    ids, cumulated = truncated(weights(values, options.temperature), options)
    expected = np.zeros(len(values))
    expected[ids] = np.diff(cumulated, prepend=0.0) / cumulated[-1]
    observed = np.bincount(drawn, minlength=len(values)) / draws
    # Four standard deviations of a share.
    assert (np.abs(observed - expected) <= 4 * np.sqrt(expected * (1 - expected) / draws) + 1e-9).all()


def test_a_row_is_drawn_alike_alone_and_among_others():
    values = logits(5)
    options = [{}, {"top_p": 0.9}, {"top_k": 400}, {"temperature": 0}, {"min_p": 0.2, "temperature": 1.7}]
    rows = [SamplingRow(SamplingParams(**entry), 3 + index, 40 + index) for index, entry in enumerate(options)]

    together = sample(values.copy(), rows).token_ids
    alone = [sample(values[index : index + 1].copy(), [row]).token_ids[0] for index, row in enumerate(rows)]

    assert together == alone


def test_the_same_seed_and_position_draw_the_same():
    rows = [SamplingRow(SamplingParams(), 5, position) for position in range(50)]
    values = np.repeat(logits(), 50, axis=0)

    first, second = draw(values.copy(), rows), draw(values.copy(), rows)
    other = draw(values.copy(), [SamplingRow(SamplingParams(), 6, position) for position in range(50)])

    assert first.tolist() == second.tolist()
    assert first.tolist() != other.tolist()
    assert len(set(first.tolist())) > 5


def test_logprobs_are_the_models_own():
    values = logits()
    reference = values[0] - values[0].max()
    reference = reference - np.log(np.exp(reference).sum())
    params = SamplingParams(temperature=0, logprobs=3, repetition_penalty=2.0)

    result = sample(values.copy(), [SamplingRow(params, 0, 0, TokenCounts([int(values[0].argmax())]))])

    best = np.argsort(-reference)[:3]
    logprobs = result.logprobs[0]
    assert [token for token, _ in logprobs.alternatives] == best.tolist()
    np.testing.assert_allclose([value for _, value in logprobs.alternatives], reference[best], rtol=1e-5)
    assert logprobs.token == pytest.approx(reference[result.token_ids[0]], rel=1e-5)


def test_impossible_tokens_keep_json_numbers():
    values = np.array([[0.0, -np.inf]], np.float32)

    logprobs = sample(values, [SamplingRow(SamplingParams(temperature=0, logprobs=2), 0, 0)]).logprobs[0]

    assert logprobs.alternatives[1] == (1, -9999.0)
