"""The list of classifiers, the page of one, and what its owner does to all of it."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.quotas.refusing import valid
from apps.teach import classifiers, queries, refining
from apps.teach.forms import ClassifierForm, NewClassifierForm
from apps.teach.models import Classifier, Version
from apps.teach.permissions import owned_classifier, owned_version, visible_classifier
from apps.teach.views.doing import REFUSALS, back, tell, who
from contracts.clips import MOST_SECONDS
from contracts.few_shot import LEAST_REFINED


@members_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    context = {
        "classifiers": queries.classifiers_of(person(request)),
        "models": queries.models(),
        "form": NewClassifierForm(user=person(request)),
    }
    return render(request, "teach/classifiers.html", context)


@senders_only
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    try:
        form = valid(NewClassifierForm(request.POST, user=person(request)))
        made = classifiers.create(owner=person(request), **form.cleaned_data)
    except REFUSALS as error:
        tell(request, error)
        return redirect("teach:listing")
    return back(made)


@members_only
@require_safe
def page(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    found = visible_classifier(request.user, classifier_id)
    form = ClassifierForm(user=person(request))
    return render(request, "teach/page.html", {"form": form, **_context(request, found)})


@members_only
@require_safe
def live(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    """The part that changes while something is taught or read; asks again by itself until that is over."""
    found = visible_classifier(request.user, classifier_id)
    return render(request, "teach/_live.html", {"is_live": True, **_context(request, found)})


@senders_only
@require_POST
def change(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    found = owned_classifier(request.user, classifier_id)
    try:
        classifiers.change(classifier=found, **valid(ClassifierForm(request.POST, user=person(request))).cleaned_data)
        messages.success(request, _("Saved"))
    except REFUSALS as error:
        tell(request, error)
    return back(found)


@senders_only
@require_POST
def delete(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    found = owned_classifier(request.user, classifier_id)
    classifiers.delete(classifier=found, **who(request))  # type: ignore[arg-type]
    messages.success(request, _("%(name)s and its examples are deleted") % {"name": found.name})
    return redirect("teach:listing")


@senders_only
@require_POST
def withdraw(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    found = owned_classifier(request.user, classifier_id)
    if classifiers.withdraw(classifier=found, **who(request)):  # type: ignore[arg-type]
        messages.success(request, _("Withdrawn. Keys get no answer from it any more."))
    return back(found)


@senders_only
@require_POST
def use(request: HttpRequest, version_id: int) -> HttpResponse:
    version = owned_version(request.user, version_id)
    try:
        classifiers.use(version=version)
        messages.success(request, _("Version %(n)s answers here") % {"n": version.number})
    except REFUSALS as error:
        tell(request, error)
    return back(version.classifier)


@senders_only
@require_POST
def refine(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    found = owned_classifier(request.user, classifier_id)
    try:
        refining.refine(classifier=found, **who(request))  # type: ignore[arg-type]
    except REFUSALS as error:
        tell(request, error)
    return back(found)


@senders_only
@require_POST
def cancel(request: HttpRequest, version_id: int) -> HttpResponse:
    """Of one that is being refined."""
    version = owned_version(request.user, version_id)
    if refining.cancel(version=version, **who(request)):  # type: ignore[arg-type]
        messages.success(request, _("Version %(n)s is not refined any further") % {"n": version.number})
    return back(version.classifier)


@senders_only
@require_POST
def publish(request: HttpRequest, version_id: int) -> HttpResponse:
    version = owned_version(request.user, version_id)
    try:
        classifiers.publish(version=version, **who(request))  # type: ignore[arg-type]
        messages.success(request, _("Version %(n)s is published and answers keys") % {"n": version.number})
    except REFUSALS as error:
        tell(request, error)
    return back(version.classifier)


def _context(request: HttpRequest, found: Classifier) -> dict[str, object]:
    return {
        "classifier": found,
        "is_owner": found.owner_id == person(request).pk and person(request).may_send,
        "page": queries.page(found),
        "READY": Version.State.READY,
        "least_refined": LEAST_REFINED,
        "most_seconds": f"{MOST_SECONDS:g}",
    }
