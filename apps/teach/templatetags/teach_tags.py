from django import template

from apps.teach import windows

register = template.Library()


@register.filter
def spark(text: str) -> str:
    """Points of the small line of a window."""
    return windows.spark(text)


@register.filter
def values(text: str) -> int:
    """How many a window has."""
    return len(text.split())
