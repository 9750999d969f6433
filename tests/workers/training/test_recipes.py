"""What the console offers can be trained."""

from contracts.recipes import RECIPES
from workers.training.classify import ClassifyConfig
from workers.training.meta import MetaConfig
from workers.training.moe import MoeConfig
from workers.training.plan import of_recipe
from workers.training.questions import QuestionsConfig
from workers.training.recipe import load_recipe
from workers.training.retrieval import RetrievalConfig

TRAINED_WITH = {
    "few-shot-classification": MetaConfig,
    "text-classification": ClassifyConfig,
    "text-generation": MoeConfig,
    "visual-question-answering": QuestionsConfig,
    "zero-shot-image-classification": RetrievalConfig,
}


def test_every_recipe_of_the_console_is_there_and_makes_a_model_of_its_task() -> None:
    assert {one.name: type(load_recipe(one.name)) for one in RECIPES} == {
        one.name: TRAINED_WITH[one.task] for one in RECIPES
    }


def test_the_rules_of_meshes_are_those_of_what_is_trained() -> None:
    on_meshes = [one for one in RECIPES if one.job]

    assert {one.name for one in on_meshes} == {one.name for one in RECIPES if one.task == "text-generation"}
    for one in on_meshes:
        assert one.job == of_recipe(load_recipe(one.name)), one.name
