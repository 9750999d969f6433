"""Figures of the search pages; those of every page are in console_tags."""

from django import template

from apps.search.models import Picture

register = template.Library()


@register.simple_tag
def place_of(start: object, counter: int) -> int:
    """Place of a result among all, counted from 1."""
    return (start if isinstance(start, int) else 0) + counter


@register.simple_tag
def shape_of(picture: Picture, most: int = 512) -> tuple[int, int]:
    """Its width and height, made smaller: a drawing over it needs no more."""
    scale = min(1.0, most / max(picture.width, picture.height))
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


@register.simple_tag
def square(side: int = 512) -> tuple[int, int]:
    """Of a picture whose shape is not known."""
    return side, side


@register.filter
def signed(value: float) -> str:
    """+0.171, −0.045"""
    return f"{value:+.3f}".replace("-", "−")


@register.filter
def share_of(value: float, most: float) -> str:
    """Width of a bar, in per cent, whatever the sign."""
    return f"{min(100.0, 100 * abs(value) / most):.1f}" if most else "0"


@register.filter
def colour(value: int) -> str:
    """0xDC1E1E -> #dc1e1e"""
    return f"#{value:06x}"
