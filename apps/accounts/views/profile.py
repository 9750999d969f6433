"""One's own page: name, language, theme, team, how one signs in, where one is signed in."""

from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import queries, services, teams
from apps.accounts.acts import carry_out, refuse, who
from apps.accounts.decorators import members_only, person
from apps.accounts.forms import ActiveTeamForm, ProfileForm
from apps.accounts.queries import has_second_factor, teams_to_spend


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=person(request))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Profile saved"))
        return redirect("accounts:profile")
    return _page(request, profile_form=form, status=422 if form.errors else 200)


@members_only
@require_POST
def choose_team(request: HttpRequest) -> HttpResponse:
    form = ActiveTeamForm(request.POST, user=person(request))
    if not form.is_valid():
        return refuse(request, form, to="accounts:profile")
    team = form.cleaned_data["team"]
    done = _("From now on this counts for %(team)s") % {"team": team} if team else _("From now on this counts for you")
    return carry_out(request, lambda: teams.choose_team(user=person(request), team=team), done, to="accounts:profile")


@members_only
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """The browsers in which this person is signed in."""
    return render(request, "accounts/sessions.html", {"sessions": _sessions(request)})


@members_only
@require_POST
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    session = get_object_or_404(UserSession, pk=session_id, user=person(request))
    done = _("Signed out there")
    return carry_out(
        request, lambda: services.end_session(session=session, **who(request)), done, to="accounts:sessions"
    )


@members_only
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    keep = request.session.session_key or ""
    return carry_out(
        request,
        lambda: services.end_sessions(user=person(request), keep=keep, **who(request)),
        _("Signed out everywhere else"),
        to="accounts:sessions",
    )


def _sessions(request: HttpRequest) -> list[UserSession]:
    """The present one first."""
    return sorted(queries.sessions(person(request)), key=lambda session: not session.is_current())


def _page(request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    user = person(request)
    page = {
        "profile_form": ProfileForm(instance=user),
        "teams": teams_to_spend(user),
        "has_provider": bool(settings.SOCIALACCOUNT_PROVIDERS),
        "has_second_factor": has_second_factor(user),
    }
    return render(request, "accounts/profile.html", page | context, status=status)
