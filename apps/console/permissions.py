"""Who may see the console: administrators. Everybody else gets 404, a signed-out person the login page."""

from uuid import UUID

from django.shortcuts import get_object_or_404

from apps.accounts.decorators import administrators_only as administrators_only
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from apps.serving.models import Deployment, Revision


def known_deployment(name: str) -> Deployment:
    return get_object_or_404(Deployment, name=name)


def known_revision(revision_id: int) -> Revision:
    return get_object_or_404(Revision.objects.select_related("deployment", "version__model"), pk=revision_id)


def known_model(name: str) -> Model:
    return get_object_or_404(Model, name=name)


def known_version(name: str, number: int) -> ModelVersion:
    return get_object_or_404(ModelVersion.objects.select_related("model"), model__name=name, number=number)


def known_job(job_id: UUID) -> Job:
    return get_object_or_404(Job.objects.select_related("created_by"), pk=job_id)
