"""Figures of the search pages; those of every page are in console_tags."""

from django import template

register = template.Library()


@register.simple_tag
def place_of(start: object, counter: int) -> int:
    """Place of a result among all, counted from 1."""
    return (start if isinstance(start, int) else 0) + counter


@register.filter
def colour(value: int) -> str:
    """0xDC1E1E -> #dc1e1e"""
    return f"#{value:06x}"
