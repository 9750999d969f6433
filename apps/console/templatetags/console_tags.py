"""Units and badges of the console's pages."""

from datetime import UTC, datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()


@register.simple_tag
def state_badge(state: str) -> SafeString:
    """State names are values of the API and stay English."""
    return format_html(
        '<span class="badge" data-state="{0}"><svg class="icon" aria-hidden="true">'
        '<use href="{1}#state-{2}"/></svg>{0}</span>',
        state,
        static("icons.svg"),
        _DRAWN_AS.get(state, state).lower(),
    )


_DRAWN_AS = {"QUEUED": "PENDING", "RUNNING": "LOADING", "SUCCEEDED": "READY", "CANCELLED": "STOPPED"}


@register.filter
def memory(size: Any) -> str:
    """2791728742 -> 2.6 GB; nothing for 0."""
    if not size:
        return ""
    value = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if unit == "GB" else f"{value:.0f} {unit}"


@register.filter
def took(seconds: Any) -> str:
    """0.041 -> 41 ms, 1.26 -> 1.26 s; nothing for None."""
    if seconds is None:
        return ""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"


@register.filter
def lasting(seconds: Any) -> str:
    """45 -> 45 s, 600 -> 10 min, 9000 -> 2.5 h"""
    if seconds < 90:
        return _("%(n)s s") % {"n": round(seconds)}
    if seconds < 5400:
        return _("%(n)s min") % {"n": round(seconds / 60)}
    return _("%(n)s h") % {"n": f"{seconds / 3600:.1f}"}


@register.filter
def rate(value: Any) -> str:
    """38.21 -> 38.2, 0.034 -> 0.03; nothing for 0."""
    if not value:
        return ""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"


@register.filter
def percent(share: Any) -> str:
    """0.0123 -> 1.2 %"""
    return "" if share is None else f"{100 * share:.1f}".rstrip("0").rstrip(".") + " %"


@register.filter
def signed_percent(share: Any) -> str:
    """-0.078 -> −7.8 %"""
    return f"{'−' if share < 0 else '+'}{100 * abs(share):.1f} %"


@register.filter
def gigabytes(value: Any) -> str:
    """78.445 -> 78.4, 0.00034 -> 0.0003"""
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.1g}" if value else "0"


@register.filter
def per_billion(value: Any) -> float:
    """Bytes as gigabytes."""
    return float(value) / 1e9


@register.filter
def many(value: Any) -> str:
    """101_000_000_000 -> 101 B, 1_840_000 -> 1.84 M"""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


@register.filter
def whole_percent(share: Any) -> int:
    return round(100 * float(share or 0))


@register.filter
def part_of(part: Any, whole: Any) -> str:
    """Width of a bar, in per cent."""
    return f"{min(100.0, 100 * part / whole):.1f}" if whole else "0"


@register.filter
def minus(left: Any, right: Any) -> Any:
    return left - right


@register.filter
def rows(value: Any) -> list[tuple[str, str]]:
    """A nested dictionary as lines: parity.max_abs_diff, 0.0003."""
    return list(_flat(value)) if isinstance(value, dict) else []


def _flat(values: dict[str, Any], prefix: str = "") -> Any:
    for name, value in values.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            value = {str(one.get("name", at)): one for at, one in enumerate(value)}
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@register.filter
def hundredfold(share: Any) -> str:
    """0.05 -> 5, for a field of per cents."""
    return f"{100 * float(share):.4g}"


@register.filter
def plus(left: float, right: float) -> float:
    return round(left + float(right), 1)


@register.filter
def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a date and time."""
    return datetime.fromtimestamp(seconds, tz=UTC)
