"""Figures of the classification pages; those of every page are in console_tags."""

from django import template

register = template.Library()


@register.filter
def signed(value: float) -> str:
    """1.25 -> +1.25"""
    return f"{value:+.2f}"
