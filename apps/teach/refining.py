"""Gradient steps on a classifier's examples: a job on worker-train (contracts/few_shot.py) that a new version comes of
when they pay. Meanwhile the classifier is taught, asked and published as before."""

import json
import os
import time
import uuid
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.registry import artifacts
from apps.serving.models import Revision
from apps.teach import noticing
from apps.teach.models import Classifier, Version
from apps.teach.teaching import begin, inputs_of, lesson_of, put_to_work, target_of
from contracts.few_shot import LEAST_REFINED, REFINE_JOB, RefineArguments

State = Version.State
_KEEP = 7 * 86_400  # seconds that the file of a job that failed is kept: it may be tried again


def folder() -> Path:
    """Of lessons; both sides see it."""
    return Path(settings.ARTIFACTS_DIR) / ".lessons"


@transaction.atomic
def refine(*, classifier: Classifier, actor: User, address: str | None = None) -> Version:
    """A version that is being refined, with all examples that have a class. Raises ValueError(`examples: reason`),
    JobRefused, and NoWorker when the model is not deployed."""
    if not classifier.is_refinable:
        raise ValueError(_("examples: gradient steps are taken on texts and pictures only"))
    Classifier.objects.select_for_update(no_key=True).get(pk=classifier.pk)  # nobody else begins meanwhile
    if classifier.versions.filter(state=State.REFINING).exists():
        raise ValueError(_("examples: they are being refined already"))
    rows, labels, lesson = lesson_of(classifier)
    if min(lesson["labels"].count(place) for place in range(len(labels))) < LEAST_REFINED:
        raise ValueError(_("examples: every class needs %(n)s to be refined") % {"n": LEAST_REFINED})
    model = Revision.objects.select_related("version").get(
        deployment__name=classifier.deployment, number=target_of(classifier).number
    ).version  # fmt: skip
    if "adapters" not in model.manifest:
        raise ValueError(_("examples: the model of this classifier cannot be refined. Ask for its newest version to be "
                           "deployed, and teach again."))  # fmt: skip
    path = folder() / f"{uuid.uuid4().hex}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**lesson, **inputs_of(classifier, rows)}))
    arguments = RefineArguments(artifacts.address(model.artifact), model.digest, str(path))
    try:
        job = jobs.create(
            kind=REFINE_JOB, title=_("Refine %(name)s") % {"name": classifier.name}, arguments=arguments.to_dict(),
            actor=actor, address=address,
        )  # fmt: skip
    except JobRefused:
        path.unlink()
        raise
    return begin(
        classifier, state=State.REFINING, job=job, labels=labels, examples=[row.pk for row in rows],
        created_at=timezone.now(),
    )  # fmt: skip


def cancel(*, version: Version, actor: User, address: str | None = None) -> bool:
    """False when it is over."""
    return version.job is not None and jobs.cancel(job=version.job, actor=actor, address=address)


def settle(*, job: Job) -> None:
    """In the transaction that stores the end of the job. Raises JobRefused for what cannot be used."""
    version = Version.objects.filter(job=job).first()
    if version is None:
        return
    values = {"state": State.FAILED, "problem": (job.reason or str(_("The job was cancelled.")))[:400]}
    if job.state == Job.State.SUCCEEDED:
        values = _of_result(job)
        Path(job.arguments["lesson"]).unlink(missing_ok=True)
    Version.objects.filter(pk=version.pk).update(ended_at=timezone.now(), **values)
    version.refresh_from_db()
    if version.state == State.READY:
        put_to_work(version)
    if job.state != Job.State.CANCELLED:
        noticing.of_refining(version)


def _of_result(job: Job) -> dict[str, object]:
    """What a version is after its job. The adapter stays in no other row: who sees the job must not read it."""
    try:
        adapter, report = job.result.pop("adapter"), job.result.pop("report")
        tried = {name: int(job.result[name]) for name in ("steps", "before", "right", "judged")}
    except (KeyError, TypeError, ValueError) as error:
        raise JobRefused(_("What the job made cannot be read.")) from error
    Job.objects.filter(pk=job.pk).update(result=job.result)
    if adapter is None:
        return {"state": State.NO_GAIN, "report": tried}
    return {"state": State.READY, "adapter": adapter, "report": report}


def sweep() -> None:
    """Remove the files of jobs that failed long ago."""
    for path in folder().glob("*.json"):
        if time.time() - os.stat(path).st_mtime > _KEEP:
            path.unlink(missing_ok=True)
