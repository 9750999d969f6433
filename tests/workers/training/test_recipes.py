"""What the console offers can be trained."""

from contracts.recipes import RECIPES
from workers.training.classify import ClassifyConfig
from workers.training.recipe import load_recipe


def test_every_recipe_of_the_console_is_there() -> None:
    assert {one.name: type(load_recipe(one.name)) for one in RECIPES} == {
        one.name: ClassifyConfig for one in RECIPES if one.task == "text-classification"
    }
