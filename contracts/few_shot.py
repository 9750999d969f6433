"""What both sides say about classifiers that are taught from a few examples.

A request of the task TASK goes to a deployment whose artifact says what it reads, `texts`, `images` (base64), `clips`
(spoken, WAV files as base64: clips.py) or `windows` (of a sensor, each a list of numbers); `inputs` has a list under
that name, and one of two kinds beside it:

- `adapt`, `{"labels": [class of each], "classes": K}`: RESULT is `{"adapter": Adapter, "report": Report}`. Nothing is
  kept: whoever asked keeps the adapter.
- `adapter`, an Adapter as a dict: RESULT is `{"items": [Answer]}`, one for each of the inputs, in their order.

Requests with different adapters share a batch. An adapter fits the model that made it and no other.

A job of the kind REFINE_JOB, whose arguments are `RefineArguments.to_dict()`, goes on with gradient steps on examples.
Its result is `{"adapter": Adapter or None, "report": Report or None, "before": right answers before, "right": after,
"judged": of how many, "steps": S}`; there is no adapter when no number of steps tells more.

A **distance** is 1 at the threshold for "none of these": farther than that an input is from all classes, as hardly any
example was from its own when it was left out (Adapter.threshold).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .messages import Message

TASK = "few-shot-classification"
TEXTS, PICTURES, CLIPS, WINDOWS = "texts", "images", "clips", "windows"  # what an artifact may read
REFINED = (TEXTS, PICTURES)  # whose bases have adapters for gradient steps
FORMAT = 1
REFINE_JOB = "refine_classifier"
LEAST_REFINED = 4  # examples of each class: they are judged in that many parts

LEAST_CLASSES, MOST_CLASSES = 2, 20
MOST_EXAMPLES = 20  # of a class
MOST_INPUTS = 256  # of a request for answers
LEAST_VALUES, MOST_VALUES = 8, 512  # of a window
LARGEST = 1e30  # a value of a window, whatever its sign


@dataclass(frozen=True, slots=True)
class Adapter(Message):
    """All that a classifier has of its own; some kilobytes. Arrays are base64 of little-endian numbers."""

    model: str  # sha256 of the graph that it fits
    classes: int  # K
    features: int  # D
    strengths: str  # float32 [R]; empty where the model has no ranks
    centres: str  # float16 [K, D]: features of a class
    radii: str  # float32 [K]: mean squared distance of a class's examples from its centre
    sharpness: float  # logits are the negative squared distances from the centres times this
    threshold: float | None  # of squared distance over radius; none when no class has two examples
    sha256: str  # of all of it but this
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Report(Message):
    """Every example judged by what the others teach. One that is alone in its class cannot be: its guess is None."""

    judged: int
    right: int
    low: float  # of the accuracy, a 95 % interval (Wilson)
    high: float
    confusion: list[list[int]]  # [class][guess]
    guesses: list[int | None]  # of each example
    shares: list[float | None]  # of each example, the share that its own class got
    nearest: int  # right when an example is told by the one nearest to it
    commonest: int  # right when the commonest class is always said
    rejected: float  # share of inputs that belong to a class and are expected to be told as none
    seconds: float  # of computing
    steps: int = 0  # of gradients
    before: int | None = None  # right without these steps, judged in the same parts


@dataclass(frozen=True, slots=True)
class RefineArguments(Message):
    """Arguments of a REFINE_JOB."""

    artifact: str  # address of the model that the classifier is taught with
    digest: str  # sha256 of its manifest
    lesson: str  # path of a JSON file: {"texts" or "images": as in a request, "labels": class of each, "classes": K}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Answer(Message):
    shares: list[float]  # by class, sum 1
    distance: float | None  # None without a threshold
    is_none: bool  # of these
