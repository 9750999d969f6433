"""Everybody, for administrators: roles, who may sign in, sessions, second factors, invitations."""

from typing import Any
from urllib.parse import urlencode

from allauth.usersessions.models import UserSession
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import services
from apps.accounts.acts import carry_out, refuse, who
from apps.accounts.decorators import administrators_only, confirmed, person
from apps.accounts.forms import InvitationForm, RoleForm
from apps.accounts.models import Invitation
from apps.accounts.permissions import known_person, may_change, roles_to_give
from apps.accounts.queries import pending, people, sessions

_PAGE = 50


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/people.html", listing_context(request))


def listing_context(request: HttpRequest) -> dict[str, Any]:
    words = request.GET.get("q", "").strip()
    page = Paginator(people(words), _PAGE).get_page(request.GET.get("page"))
    return {
        "page": page,
        "words": words,
        "query": urlencode({"q": words}) + "&" if words else "",
        "invitations": pending(Invitation.objects.all()),
        "form": InvitationForm(by=person(request)),
    }


@administrators_only
@require_safe
def detail(request: HttpRequest, user_id: int) -> HttpResponse:
    """One person: what they may do, where they are signed in, and what an administrator can do about it."""
    one = get_object_or_404(people(), pk=user_id)
    context = {
        "one": one,
        "may_change": may_change(person(request), one),
        "roles": roles_to_give(person(request)),
        "sessions": sessions(one),
        "keys": one.api_keys.filter(revoked_at=None).count(),
    }
    return render(request, "accounts/person.html", context)


@administrators_only
@require_POST
@confirmed
def set_role(request: HttpRequest, user_id: int) -> HttpResponse:
    one = known_person(user_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=_page(user_id))
    done = _("%(person)s is %(role)s now") % {"person": one.label, "role": form.chosen.label}
    return carry_out(
        request, lambda: services.set_role(user=one, role=form.chosen, **who(request)), done, to=_page(user_id)
    )


@administrators_only
@require_POST
def deactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    one = known_person(user_id)
    done = _("%(person)s was deactivated: sessions and keys have ended") % {"person": one.label}
    return carry_out(request, lambda: services.deactivate(user=one, **who(request)), done, to=_page(user_id))


@administrators_only
@require_POST
def reactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    one = known_person(user_id)
    done = _("%(person)s may sign in again") % {"person": one.label}
    return carry_out(request, lambda: services.reactivate(user=one, **who(request)), done, to=_page(user_id))


@administrators_only
@require_POST
@confirmed
def remove_second_factor(request: HttpRequest, user_id: int) -> HttpResponse:
    one = known_person(user_id)
    done = _("%(person)s signs in by password alone until they set up another second factor") % {"person": one.label}
    return carry_out(request, lambda: services.remove_second_factor(user=one, **who(request)), done, to=_page(user_id))


@administrators_only
@require_POST
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    session = get_object_or_404(UserSession.objects.select_related("user"), pk=session_id)
    return carry_out(
        request,
        lambda: services.end_session(session=session, **who(request)),
        _("Signed out there"),
        to=_page(session.user_id),
    )


@administrators_only
@require_POST
def end_sessions(request: HttpRequest, user_id: int) -> HttpResponse:
    one = known_person(user_id)
    count = sessions(one).count()
    done = ngettext("%(n)s session ended", "%(n)s sessions ended", count) % {"n": count}
    return carry_out(request, lambda: services.end_sessions(user=one, **who(request)), done, to=_page(user_id))


def _page(user_id: int) -> str:
    return reverse("accounts:person", args=[user_id])
