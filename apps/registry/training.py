"""Training a model on worker-train; what it makes is registered as an import's is."""

import re

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.registry.models import Model
from apps.registry.services import NAME, TRAIN, InvalidImport
from contracts.recipes import RECIPES, Recipe

PRECISIONS = ("int8", "fp32")
MOST_SEED = 2**31 - 1
_CHECKPOINT_EVERY = 10  # steps: what a cancelled or interrupted attempt loses at most


def start_training(
    *,
    actor: AbstractBaseUser | None,
    recipe: str,
    name: str,
    title: str = "",
    seed: int = 0,
    precision: str = "int8",
    address: str | None = None,
) -> Job:
    """Send a training to worker-train; the version is registered when the job has ended. Raises InvalidImport."""
    known = _known(recipe)
    if not re.fullmatch(NAME, name):
        raise InvalidImport("name", _("A name has small letters, digits and hyphens, 80 at most."))
    if not 0 <= seed <= MOST_SEED:
        raise InvalidImport("seed", _("The seed is a number from 0 to %(most)s.") % {"most": MOST_SEED})
    if precision not in PRECISIONS:
        raise InvalidImport("precision", _("The precision is one of %(all)s.") % {"all": ", ".join(PRECISIONS)})
    _check_task(name, known)
    arguments = {
        "recipe": recipe, "changes": {"seed": seed, "checkpoint_every": _CHECKPOINT_EVERY}, "name": name,
        "title": title or name, "precision": precision, "store": settings.ARTIFACT_STORE,
    }  # fmt: skip
    return jobs.create(kind=TRAIN, title=title or name, arguments=arguments, actor=actor, address=address)


def _known(recipe: str) -> Recipe:
    found = next((one for one in RECIPES if one.name == recipe), None)
    if found is None:
        names = ", ".join(one.name for one in RECIPES)
        raise InvalidImport("recipe", _("The recipe is one of %(all)s.") % {"all": names})
    return found


def _check_task(name: str, recipe: Recipe) -> None:
    """At once, and not after the hours of a training."""
    model = Model.objects.filter(name=name).exclude(task=recipe.task).first()
    if model is not None:
        raise InvalidImport("name", _("%(name)s is a model for %(task)s. Choose another name.")
                            % {"name": name, "task": model.task})  # fmt: skip
