"""People, for administrators. What a page asks the password for again, such as giving a role, no key can do."""

from datetime import datetime
from typing import Any

from allauth.usersessions.models import UserSession
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from apps.accounts import queries, services
from apps.accounts.models import Role, Scope, User
from apps.accounts.permissions import known_person
from apps.api.auth import KeyAuth
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, who

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["People"])


class PlaceOut(Schema):
    team: int
    name: str
    role: Role


class PersonOut(Schema):
    id: int
    email: str
    name: str
    role: Role
    is_active: bool = Field(description="Whether they may sign in.")
    has_second_factor: bool
    teams: list[PlaceOut]


class SessionOut(Schema):
    id: int
    address: str
    browser: str
    began_at: datetime
    seen_at: datetime


class EndedOut(Schema):
    ended: int = Field(description="How many sessions.")


class Search(Paging):
    q: str = Field("", max_length=200, description="Words of the name or the address.")


def _person(user: User) -> PersonOut:
    names = ("email", "name", "role", "is_active", "has_second_factor")
    places = [PlaceOut(team=one.team_id, name=one.team.name, role=Role(one.role)) for one in user.memberships.all()]
    return PersonOut(id=user.pk, teams=places, **{name: getattr(user, name) for name in names})


def _session(session: UserSession) -> SessionOut:
    told = {"id": session.pk, "address": str(session.ip), "browser": session.user_agent}
    return SessionOut(**told, began_at=session.created_at, seen_at=session.last_seen_at)


def _known(user_id: int) -> PersonOut:
    return _person(get_object_or_404(queries.people(), pk=user_id))


@router.get("/people", response=Page[PersonOut], summary="List people")
@in_thread
def list_people(request: HttpRequest, search: Query[Search]) -> dict[str, Any]:
    """By address."""
    return page_of(queries.people(search.q), ("email",), search, _person)


@router.get("/people/{int:user_id}", response=PersonOut, summary="Read a person")
@in_thread
def get_person(request: HttpRequest, user_id: int) -> PersonOut:
    return _known(user_id)


@router.post("/people/{int:user_id}/deactivate", response=PersonOut, summary="Deactivate a person")
@in_thread
def deactivate_person(request: HttpRequest, user_id: int) -> PersonOut:
    """They cannot sign in; their sessions, keys and open invitations end."""
    services.deactivate(user=known_person(user_id), **who(request))
    return _known(user_id)


@router.post("/people/{int:user_id}/reactivate", response=PersonOut, summary="Let a person in again")
@in_thread
def reactivate_person(request: HttpRequest, user_id: int) -> PersonOut:
    """Keys that were revoked stay revoked."""
    services.reactivate(user=known_person(user_id), **who(request))
    return _known(user_id)


@router.get("/people/{int:user_id}/sessions", response=Page[SessionOut], summary="List a person's sessions")
@in_thread
def list_person_sessions(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """Where they are signed in, the newest first: there is one page."""
    found = queries.sessions(known_person(user_id))
    return {"data": [_session(session) for session in found], "next": None}


@router.delete("/people/{int:user_id}/sessions", response=EndedOut, summary="Sign a person out everywhere")
@in_thread
def end_person_sessions(request: HttpRequest, user_id: int) -> EndedOut:
    return EndedOut(ended=services.end_sessions(user=known_person(user_id), **who(request)))


@router.delete("/people/sessions/{int:session_id}", response={204: None}, summary="End a session")
@in_thread
def end_person_session(request: HttpRequest, session_id: int) -> None:
    """Somebody is signed out in one browser."""
    session = get_object_or_404(UserSession.objects.select_related("user"), pk=session_id)
    services.end_session(session=session, **who(request))
