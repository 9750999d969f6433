"""The command, and what its arithmetic (tests/contracts) says of real models."""

import sys

import pytest
import torch

from contracts.mesh_plans import EXAMPLES
from contracts.mixture import active, parameters, values_a_token
from workers.training import plan as planner
from workers.training.plan import counted, of_recipe
from workers.training.recipe import load_recipe
from workers.zoo.v3_moe import V3, V3Config, active_parameters


def test_parameters_are_those_of_the_model():
    sizes = V3Config(vocab_size=10, width=8, layers=2, heads=2, kv_heads=1, hidden=4, experts=4, shared=1, context=4)
    model, found = V3(sizes), counted(sizes)

    assert parameters(found).total(2) == sum(value.numel() for value in model.parameters())
    assert active(found) + parameters(found).embed == active_parameters(model)


def test_what_the_model_keeps_is_what_is_planned():
    """Measured on the tensors that autograd saves; the mixture of one process keeps a little more."""
    sizes = V3Config(vocab_size=10, width=64, layers=1, heads=2, kv_heads=1, hidden=96, context=32)
    torch.manual_seed(0)
    model, kept = V3(sizes), {}
    own = {value.untyped_storage().data_ptr() for value in [*model.parameters(), *model.buffers()]}

    def keep(value):
        if value.untyped_storage().data_ptr() not in own:
            kept[value.untyped_storage().data_ptr()] = value
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        model.layers[0](torch.randn(4, 32, 64, requires_grad=True))
    measured = sum(value.untyped_storage().nbytes() for value in kept.values()) / 4 / (4 * 32)

    activation = 2 * 2 * 96  # of the gate and its product, which experts on a mesh compute again
    assert values_a_token(counted(sizes), False) + activation == pytest.approx(measured, rel=0.1)


def test_the_example_of_the_console_is_the_recipe():
    assert EXAMPLES["shakespeare"].job == of_recipe(load_recipe("v3.shakespeare"))


def test_the_command_says_that_it_is_a_plan(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plan", "--example", "100b", "--best", "2"])
    assert planner.main() == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("A plan, not a run: 101 billion parameters")
    assert len(lines) == 4


def test_the_command_plans_a_recipe_on_given_devices(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["plan", "--recipe", "v3.shakespeare", "--devices", "8", "--memory-gb", "2", "--json"]
    )
    assert planner.main() == 0
    assert '"fits": true' in capsys.readouterr().out
