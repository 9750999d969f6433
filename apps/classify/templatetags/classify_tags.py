"""Figures of the classification pages."""

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def share(value: float) -> str:
    """0.9134 -> 91.3 %"""
    return f"{number_format(100 * value, 1)} %"


@register.filter
def width(value: float) -> str:
    """Of a bar, as SVG wants it: never with a comma."""
    return f"{max(0.0, min(100.0, 100 * value)):.1f}"


@register.filter
def signed(value: float) -> str:
    """1.25 -> +1.25"""
    return f"{value:+.2f}"


@register.filter
def milliseconds(value: float) -> str:
    """0.0412 -> 41 ms, 1.26 -> 1.26 s"""
    if value >= 1:
        return f"{number_format(value, 2)} s"
    return f"{number_format(1000 * value, 0 if value >= 0.01 else 1)} ms"
