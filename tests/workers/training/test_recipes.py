"""What the console offers can be trained."""

from contracts.recipes import RECIPES
from workers.training.classify import ClassifyConfig
from workers.training.questions import QuestionsConfig
from workers.training.recipe import load_recipe
from workers.training.retrieval import RetrievalConfig

TRAINED_WITH = {
    "text-classification": ClassifyConfig,
    "visual-question-answering": QuestionsConfig,
    "zero-shot-image-classification": RetrievalConfig,
}


def test_every_recipe_of_the_console_is_there_and_makes_a_model_of_its_task() -> None:
    assert {one.name: type(load_recipe(one.name)) for one in RECIPES} == {
        one.name: TRAINED_WITH[one.task] for one in RECIPES
    }
