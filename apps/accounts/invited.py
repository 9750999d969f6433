"""A browser that came by the link of an invitation, until its person has an account."""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from apps.accounts.invitations import accept, find_invitation
from apps.accounts.models import Invitation, User

_TOKEN = "invitation"


def remember(request: HttpRequest, token: str) -> None:
    request.session[_TOKEN] = token


def forget(request: HttpRequest) -> None:
    request.session.pop(_TOKEN, None)


def invitation_of(request: HttpRequest) -> Invitation | None:
    """The invitation that this browser came by, while it can be used."""
    token = request.session.get(_TOKEN)
    return find_invitation(token) if token else None


@contextmanager
def joining(request: HttpRequest, user: User, keep: str | None = None) -> Iterator[None]:
    """Around saving a new person: they get what the invitation gives, or nobody is saved.

    A role that somebody else has given already (`keep`) stays. Of two who use a link at once, one is sent to the page
    that says so.
    """
    invitation = invitation_of(request)
    if invitation is None:
        yield
        return
    user.role = keep or invitation.role
    try:
        with transaction.atomic():
            yield
            accept(invitation=invitation, user=user, address=get_adapter().get_client_ip(request))
    except ValueError as error:
        raise ImmediateHttpResponse(redirect("accounts:invitation", token=request.session[_TOKEN])) from error
    forget(request)
