import pytest
import torch

from workers.training.recall import both_ways, recalls

SCORES = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.3, 0.9], [0.1, 0.2, 0.3]])


def test_the_right_one_is_first_for_two_of_three() -> None:
    found = recalls(SCORES, torch.eye(3).bool())
    assert found == {"r1": pytest.approx(2 / 3), "r5": 1.0, "r10": 1.0}


def test_each_of_two_right_ones_will_do() -> None:
    same = torch.eye(3).bool()
    same[1, 2] = True
    assert recalls(SCORES, same)["r1"] == 1.0


def test_what_is_only_as_good_does_not_come_first() -> None:
    assert recalls(torch.zeros(3, 3), torch.eye(3).bool())["r1"] == 0.0


def test_back_is_the_other_way_round() -> None:
    found = both_ways(torch.tensor([[0.5, 0.9], [0.1, 0.8]]), torch.eye(2).bool())
    assert (found["text_to_picture"]["r1"], found["picture_to_text"]["r1"]) == (0.5, 0.5)
