"""Two answers side by side, and the vote between them."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.chat import compare, queries
from apps.chat.forms import DEFAULTS, CompareForm, ParametersForm
from apps.chat.models import Comparison
from apps.chat.permissions import owned_comparison
from apps.chat.views.pages import models_context
from apps.quotas.refusing import REFUSALS, explain, refusable, valid

# Two lanes of one model differ at least in this.
LANE_DEFAULTS = {"a": {**DEFAULTS, "temperature": 0.2, "seed": 7}, "b": {**DEFAULTS, "temperature": 1.0, "seed": 7}}


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """The form; a refused question comes back in it, with the reason."""
    if request.method != "POST":
        return _form_page(request, {"lanes": _lanes(LANE_DEFAULTS)})
    return _ask(request)


@senders_only
def _ask(request: HttpRequest) -> HttpResponse:
    try:
        return redirect("chat:comparison", _start(request).pk)
    except REFUSALS as error:
        status, refusal = explain(error)
        typed = {"lanes": _lanes(_typed(request)), "typed": request.POST, "refusal": True, **refusal}
        response = _form_page(request, typed, status)
        if "retry_after" in refusal:
            response["Retry-After"] = str(refusal["retry_after"])
        return response


@members_only
@require_safe
def comparison(request: HttpRequest, comparison_id: UUID) -> HttpResponse:
    found = owned_comparison(request.user, comparison_id)
    return render(request, "chat/comparison.html", _evidence(request, found))


@members_only
@require_POST
@refusable
def vote(request: HttpRequest, comparison_id: UUID) -> HttpResponse:
    found = owned_comparison(request.user, comparison_id)
    compare.vote(comparison=found, vote=request.POST.get("vote", ""))
    if request.headers.get("HX-Request"):
        return render(request, "chat/_comparison.html", _evidence(request, found))
    return redirect("chat:comparison", found.pk)


def _start(request: HttpRequest) -> Comparison:
    form = valid(CompareForm(request.POST))
    settings = {letter: valid(ParametersForm(request.POST, prefix=letter)) for letter in "ab"}
    return compare.start_comparison(
        owner=person(request),
        prompt=form.cleaned_data["prompt"],
        system_prompt=form.cleaned_data["system_prompt"],
        blind=form.cleaned_data["blind"],
        lanes=[
            {"deployment": form.cleaned_data[f"deployment_{letter}"], "parameters": settings[letter].parameters}
            for letter in "ab"
        ],
    )


def _typed(request: HttpRequest) -> dict[str, dict[str, Any]]:
    """What was typed into the lanes, whether it can be used or not."""
    prefixed = {letter: {n: request.POST.get(f"{letter}-{n}", "") for n in DEFAULTS} for letter in "ab"}
    for letter in "ab":
        prefixed[letter] |= {"seed": request.POST.get(f"{letter}-seed", "")}
    return prefixed


def _lanes(parameters: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"prefix": letter, "letter": letter.upper(), "parameters": parameters[letter]} for letter in "ab"]


def _form_page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    page = {
        **models_context(""),
        "recent": queries.recent_comparisons(person(request)),
        "votes": queries.vote_counts(person(request)),
    }
    return render(request, "chat/compare.html", page | context, status=status)


def _evidence(request: HttpRequest, found: Comparison) -> dict[str, Any]:
    lanes = list(found.lanes.all())
    return {
        "comparison": found,
        "lanes": lanes,
        "is_hidden": found.is_hidden,
        "is_running": any(lane.is_waiting for lane in lanes),
        "votes": queries.vote_counts(person(request)),
        "vote_choices": [choice for choice in Comparison.Vote.choices if choice[0]],
    }
