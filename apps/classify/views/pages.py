"""One text: the page, sending it, and its answer."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.classify import queries
from apps.classify.batches import TASK
from apps.classify.explaining import answer_of
from apps.classify.forms import TextForm
from apps.classify.permissions import owned_request
from apps.quotas import services as quotas
from apps.quotas.refusing import refusable, valid
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.queries import deployment_states


@members_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "classify/classify.html", page_context(request))


@senders_only
@require_POST
@refusable
def run(request: HttpRequest) -> HttpResponse:
    """Sends the text; the page follows its stream and asks for `result` when it has ended."""
    form = valid(TextForm(request.POST)).cleaned_data
    target = serving.choose_deployment(form["deployment"], task=TASK)
    inputs = {"texts": [form["text"]]} | ({"explain": True} if form["explain"] else {})
    sent = serving.build_request(target=target, inputs=inputs, tenant=str(person(request).pk))
    quotas.submit(request=sent, who=person(request), target=target)
    return render(request, "classify/_running.html", {"request_id": sent.request_id})


@members_only
@require_safe
def result(request: HttpRequest, request_id: str) -> HttpResponse:
    found = owned_request(request.user, request_id)
    transcript = requests.transcript(request_id)
    if transcript.error:
        return render(request, "classify/_failed.html", {"error": transcript.error})
    if not transcript.is_finished:
        return render(request, "classify/_running.html", {"request_id": request_id})
    if not transcript.result:
        return render(request, "classify/_failed.html", {"is_stopped": True})
    return render(request, "classify/_answer.html", {"answer": answer_of(found, transcript)})


def page_context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    return {
        "deployments": deployment_states(TASK),
        "chosen": request.GET.get("model", ""),
        "batches": queries.recent_batches(person(request)),
        **more,
    }
