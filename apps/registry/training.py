"""Training a model on worker-train; what it makes is registered as an import's is."""

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.registry.models import Model
from apps.registry.services import NAME, TRAIN, InvalidImport
from contracts.mixture import Layout, Plan, undivided
from contracts.recipes import RECIPES, Recipe

USUAL = "auto"  # the recipe's first precision
PRECISIONS = (USUAL, "int8", "fp32")
MOST_PROCESSES = 64
MESH = ("dp", "pp", "ep", "micro_batches")
MOST_SEED = 2**31 - 1
_CHECKPOINT_EVERY = 10  # steps: what a cancelled or interrupted attempt loses at most


def start_training(
    *,
    actor: AbstractBaseUser | None,
    recipe: str,
    name: str,
    title: str = "",
    seed: int = 0,
    precision: str = USUAL,
    mesh: dict[str, int] | None = None,
    address: str | None = None,
) -> Job:
    """Send a training to worker-train; the version is registered when the job has ended. Raises InvalidImport.

    `mesh` has the fields of MESH; one process needs none. What the machine cannot do is refused by the job.
    """
    known = _known(recipe)
    if not re.fullmatch(NAME, name):
        raise InvalidImport("name", _("A name has small letters, digits and hyphens, 80 at most."))
    if not 0 <= seed <= MOST_SEED:
        raise InvalidImport("seed", _("The seed is a number from 0 to %(most)s.") % {"most": MOST_SEED})
    if precision not in PRECISIONS:
        raise InvalidImport("precision", _("The precision is one of %(all)s.") % {"all": ", ".join(PRECISIONS)})
    _check_task(name, known)
    if precision not in (USUAL, *known.precisions):
        raise InvalidImport(
            "precision", _("This recipe is exported as %(all)s.") % {"all": ", ".join(known.precisions)}
        )
    several = _checked_mesh(known, mesh or {})
    arguments = {
        "recipe": recipe, "changes": {"seed": seed, "checkpoint_every": _CHECKPOINT_EVERY}, "name": name,
        "title": title or name, "precision": known.precisions[0] if precision == USUAL else precision,
        "store": settings.ARTIFACT_STORE, **({"mesh": several} if several else {}),
    }  # fmt: skip
    return jobs.create(kind=TRAIN, title=title or name, arguments=arguments, actor=actor, address=address)


def _known(recipe: str) -> Recipe:
    found = next((one for one in RECIPES if one.name == recipe), None)
    if found is None:
        names = ", ".join(one.name for one in RECIPES)
        raise InvalidImport("recipe", _("The recipe is one of %(all)s.") % {"all": names})
    return found


def _checked_mesh(recipe: Recipe, given: dict[str, int]) -> dict[str, Any]:
    """Empty for one process. Raises InvalidImport."""
    mesh = {name: given.get(name, 1) for name in MESH}
    layout = Layout(mesh["dp"], mesh["pp"], mesh["ep"])
    if layout.processes == 1:
        return {}
    if recipe.job is None:
        raise InvalidImport("dp", _("Only mixtures of experts are trained on several processes. Leave them at 1."))
    if layout.processes > MOST_PROCESSES:
        raise InvalidImport("dp", _("A mesh has %(n)s processes at most.") % {"n": MOST_PROCESSES})
    if wrong := undivided(recipe.job, Plan(layout, mesh["micro_batches"])):
        raise InvalidImport(wrong, _why_undivided(recipe, wrong))
    return mesh


def _why_undivided(recipe: Recipe, wrong: str) -> str:
    assert recipe.job
    model, batch = recipe.job.model, recipe.job.batch
    if wrong == "pp":
        return _("The model has %(n)s layers: take as many stages or fewer.") % {"n": model.layers}
    if wrong == "ep":
        return _("The model has %(n)s experts: take a number that divides them.") % {"n": model.experts}
    return _("There must be as many micro-batches as stages or more, and copies x expert parts x micro-batches must "
             "divide the batch of %(n)s.") % {"n": batch}  # fmt: skip


def _check_task(name: str, recipe: Recipe) -> None:
    """At once, and not after the hours of a training."""
    model = Model.objects.filter(name=name).exclude(task=recipe.task).first()
    if model is not None:
        raise InvalidImport("name", _("%(name)s is a model for %(task)s. Choose another name.")
                            % {"name": name, "task": model.task})  # fmt: skip
