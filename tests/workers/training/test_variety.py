"""A picture drawn again: the same kind of picture, another one, and white around it still."""

import torch

from workers.training.variety import varied


def square(count: int = 16) -> torch.Tensor:
    pixels = torch.ones(count, 3, 64, 64)
    pixels[:, :, 20:44, 20:44] = torch.tensor([0.8, 0.2, 0.2])[:, None, None]
    return pixels


def test_each_is_another_between_black_and_white() -> None:
    torch.manual_seed(0)
    drawn = varied(square())
    assert drawn.shape == (16, 3, 64, 64) and float(drawn.min()) >= 0 and float(drawn.max()) <= 1
    apart = (drawn[:, None] - drawn).abs().mean((2, 3, 4))
    assert float(apart[~torch.eye(16).bool()].min()) > 0.001


def test_one_seed_draws_the_same() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(varied(square(4)))
    assert torch.equal(*found)


def test_what_is_around_stays_white() -> None:
    torch.manual_seed(1)
    edges = torch.cat([(drawn := varied(square(64)))[:, :, 0], drawn[:, :, -1]], -1)
    assert float((edges.amin(1) > 0.95).float().mean()) > 0.9  # the others are covered


def test_the_thing_stays_in_sight() -> None:
    torch.manual_seed(2)
    seen = (varied(square(64))[:, :, 16:48, 16:48].amin(1) < 0.9).float().mean((1, 2))
    assert float(seen.min()) > 0.2
