"""Amounts of a metric as people read them."""

import re
from datetime import date
from decimal import Decimal

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from apps.quotas.models import Window

COST = "cost"
# What pages show of use, in this order; `cost` is no metric of a limit.
SHOWN = {
    "requests": gettext_lazy("Requests"),
    "input_tokens": gettext_lazy("Input tokens"),
    "output_tokens": gettext_lazy("Output tokens"),
    "compute_seconds": gettext_lazy("Compute time"),
    COST: gettext_lazy("Cost"),
    "stored_bytes": gettext_lazy("Stored"),
}
NAMES = SHOWN | {"concurrent_requests": gettext_lazy("Running at once")}


def limit_name(metric: str, window: str) -> str:
    """Output tokens a day; what is held has no window."""
    if window == Window.NOW:
        return str(NAMES[metric])
    return _("%(metric)s %(window)s") % {"metric": NAMES[metric], "window": Window(window).label}


def day(at: date) -> str:
    """26 Nov or 11月26日: short enough for an axis."""
    # Translators: a day on the axis of a chart, as Django's date filter writes it
    return date_format(at, pgettext("day on an axis", "j M"))


Number = int | float | Decimal
_LARGE = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
_BYTES = ((2**40, "TB"), (2**30, "GB"), (2**20, "MB"), (2**10, "KB"))


def amount(metric: str, value: Number, currency: str = "") -> str:
    """1,799,700 or 8.66 h or 18.2 GB or 4.10 EUR."""
    if metric == "compute_seconds":
        return _duration(float(value))
    if metric == "stored_bytes":
        return _bytes(int(value))
    if metric == COST:
        return f"{_money(Decimal(value))} {currency}".strip()
    return f"{int(value):,}"


def short(metric: str, value: float) -> str:
    """For an axis: 150k, 2 h, 4 GB."""
    if metric in ("compute_seconds", "stored_bytes"):
        return amount(metric, value)
    for size, letter in _LARGE:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{_digits(seconds)} s"
    if seconds < 3600:
        return f"{_digits(seconds / 60)} min"
    return f"{_digits(seconds / 3600)} h"


def _bytes(size: int) -> str:
    for unit, name in _BYTES:
        if abs(size) >= unit:
            return f"{_digits(size / unit)} {name}"
    return f"{size} B"


def _money(value: Decimal) -> str:
    """Cents; below one cent as many digits as tell something."""
    if not value or abs(value) >= Decimal("0.01"):
        return f"{value:,.2f}"
    return f"{value:.{1 - value.adjusted()}f}"


def _digits(value: float) -> str:
    """Three digits that count, no zeros behind the point."""
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def parse(metric: str, text: str) -> int:
    """What `amount` and `short` write, and more: 600, 1.5M, 10 h, 50 GB. Raises ValueError."""
    match = _TYPED.fullmatch(text.strip().replace(",", "").replace(" ", "").replace("\u202f", ""))
    if match is None:
        raise ValueError(text)
    sizes = _SIZES.get(metric, _COUNTS)
    unit = match["unit"].lower()
    if unit not in sizes:
        raise ValueError(text)
    number = round(Decimal(match["number"]) * sizes[unit])
    if number >= 2**50:
        raise ValueError(text)
    return number


_TYPED = re.compile(r"(?P<number>\d{1,18}(\.\d{1,9})?)(?P<unit>[A-Za-z]*)")
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SIZES = {
    "compute_seconds": {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400},
    "stored_bytes": {"": 1, "b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40},
}
