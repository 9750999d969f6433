"""Filters of the pages of people and teams."""

from django import template
from django.utils.translation import gettext as _

from apps.accounts.models import Role

register = template.Library()

# The first that is found names it: Edge and Opera say that they are Chrome, and Chrome that it is Safari.
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
_SYSTEMS = {each: each for each in ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")}


@register.filter
def role_label(role: str) -> str:
    return str(Role(role).label)


@register.filter
def browser_name(user_agent: str) -> str:
    """What a person would call it: "Firefox, Linux"."""
    found = [_first(user_agent, names) for names in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name) or _("Unknown browser")


def _first(text: str, names: dict[str, str]) -> str:
    return next((name for part, name in names.items() if part in text), "")
