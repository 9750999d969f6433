"""Template context that every page has."""

from functools import partial

from django.conf import settings
from django.http import HttpRequest

from apps.accounts.invited import invitation_of
from apps.accounts.queries import is_signup_open
from apps.anomaly.queries import open_incidents
from apps.notices.queries import unread


def frame(request: HttpRequest) -> dict[str, object]:
    """What the frame around a page needs to know; a query only where a template asks for it."""
    return {
        "theme": request.COOKIES.get("theme") if request.COOKIES.get("theme") in {"light", "dark"} else "",
        "signup_open": is_signup_open,  # asked when a template asks
        "signup_invitation": partial(invitation_of, request),
        "unread_notices": lambda: unread(request.user),  # the bell asks
        "open_incidents": lambda: open_incidents(request.user),  # the navigation asks
        "languages": settings.LANGUAGES,
    }
