"""Who may see what of serving. A stranger hears what somebody hears who asks for nothing that exists."""

from apps.accounts.models import User
from apps.accounts.permissions import is_administrator
from apps.serving.timeline import Timeline


def may_see_request(user: User, request: Timeline) -> bool:
    return is_administrator(user) or request.owner == str(user.pk)
