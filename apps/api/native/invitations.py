"""Invitations: links that let somebody in, for administrators and for whoever administers a team.

With a key nobody is made an administrator of the organisation: that is done on a page.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal

from django.http import Http404, HttpRequest
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from ninja import Field, Query, Router, Schema

from apps.accounts.forms import InvitationForm
from apps.accounts.invitations import invite, revoke_invitation, send_invitation
from apps.accounts.models import Invitation, Role, Scope
from apps.accounts.permissions import is_administrator, managed_invitation, managed_invitations, managed_teams
from apps.accounts.queries import pending
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body, valid
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import acting, creating, in_thread, who
from apps.api.site import also

router = Router(auth=KeyAuth(Scope.ACCOUNT), tags=["People"])


class InvitationOut(Schema):
    id: int
    email: str = Field(description="Empty: it is for whoever has the link.")
    role: Role
    team: int | None
    team_role: Role
    invited_by: str | None = Field(description="E-mail address.")
    created_at: datetime
    expires_at: datetime


class NewInvitationOut(InvitationOut):
    told_once: ClassVar[tuple[str, ...]] = ("link",)
    link: str | None = Field(description="Shown once: null when the same Idempotency-Key is sent again.")
    is_mailed: bool


class InvitationIn(Body):
    email: str = Field("", max_length=254, description="Only this address can use it, and the link is mailed there.")
    role: Literal["member", "viewer"] = "member"
    team: int | None = Field(None, description="Who administers a team, and not the organisation, has to name it.")
    team_role: Role = Role.MEMBER
    days: Literal[1, 7, 30] = 7


def _values(one: Invitation) -> dict[str, Any]:
    names = ("email", "role", "team_role", "created_at", "expires_at")
    by = one.invited_by.email if one.invited_by else None
    return {"id": one.pk, "team": one.team_id, "invited_by": by, **{name: getattr(one, name) for name in names}}


def _invitation(one: Invitation) -> InvitationOut:
    return InvitationOut(**_values(one))


@router.get("/invitations", response=Page[InvitationOut], summary="List invitations")
@in_thread
def list_invitations(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """Those that were neither used nor revoked, the newest first: to the teams one administers, with the scope admin
    all."""
    return page_of(pending(managed_invitations(acting(request))), ("-id",), paging, _invitation)


@router.post("/invitations", response={201: NewInvitationOut}, openapi_extra=also(404), summary="Invite somebody")
@creating
@sensitive_variables("token", "link")
def create_invitation(request: HttpRequest, payload: InvitationIn) -> NewInvitationOut:
    """The link is in the answer, this once. 404 for those who administer nothing."""
    user = acting(request)
    if not is_administrator(user) and not managed_teams(user).exists():
        raise Http404
    made, token = invite(**valid(InvitationForm(payload.model_dump(), by=user)).values(), **who(request))
    link = request.build_absolute_uri(reverse("accounts:invitation", args=[token]))
    return NewInvitationOut(**_values(made), link=link, is_mailed=send_invitation(invitation=made, link=link))


@router.post("/invitations/{int:invitation_id}/revoke", response={204: None}, summary="Revoke an invitation")
@in_thread
def revoke_invite(request: HttpRequest, invitation_id: int) -> None:
    """The link works no more. Nothing happens to one that was used."""
    revoke_invitation(invitation=managed_invitation(acting(request), invitation_id), **who(request))
