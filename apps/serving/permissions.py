"""Who may see what of serving. A stranger hears what somebody hears who asks for nothing that exists."""

from apps.accounts.models import User
from apps.serving.timeline import Timeline


def may_see_request(user: User, request: Timeline) -> bool:
    return user.is_staff or request.owner == str(user.pk)
