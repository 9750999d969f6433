"""Jobs: what takes minutes, with its progress and its log."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.audit.queries import entries_of
from apps.console import history, inventory
from apps.console.permissions import administrators_only, known_job
from apps.console.training import training
from apps.jobs import services
from apps.serving.acts import carry_out, who
from contracts.adaptation import COMPARED

_PAGE = 30


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    page = Paginator(inventory.jobs(), _PAGE).get_page(request.GET.get("page"))
    part = request.GET.get("part") == "live"
    context = {"page": page, "jobs": inventory.job_rows(page.object_list)}
    return render(request, "console/_jobs_live.html" if part else "console/jobs.html", context)


@administrators_only
@require_safe
def detail(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = known_job(job_id)
    part = request.GET.get("part") == "live"
    row, version = inventory.job_rows([job])[0], inventory.made_by(job)
    context = {
        "job": job,
        "row": row,
        "training": training(row.details),
        "version": version,
        "compared": version.manifest.get(COMPARED, []) if version else [],
        "happened": history.lines(entries_of(job)[:12]),
    }
    return render(request, "console/_job_live.html" if part else "console/job.html", context)


@administrators_only
@require_POST
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = known_job(job_id)

    def act() -> None:
        if not services.cancel(job=job, **who(request)):
            raise ValueError(_("The job is over already. Nothing was changed."))

    return carry_out(request, act, _("The job is being cancelled"), to=reverse("console:job", args=[job.pk]))


@administrators_only
@require_POST
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = known_job(job_id)

    def act() -> None:
        if not services.retry(job=job, **who(request)):
            raise ValueError(_("Only a job that failed or was cancelled can be tried again."))

    return carry_out(request, act, _("The job is tried again"), to=reverse("console:job", args=[job.pk]))
