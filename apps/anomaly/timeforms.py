"""How files write moments. Numbers are since the epoch; texts are ISO 8601 or one of the forms below."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

AUTO, EPOCH_S, EPOCH_MS = "auto", "epoch_s", "epoch_ms"
FORMS = (
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%d-%m-%Y %H:%M:%S",
    "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d%H%M%S",
)  # fmt: skip
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_EARLY, _LATE = 1e8, 1e11  # seconds: from 1973 to 5138; what is larger is in milliseconds or finer
_MOST = 0.8  # of the cells of a column: strangers have cells that are wrong
_NAMES = ("time", "date", "stamp", "ts", "datum", "zeit", "时间", "日期")


def form_of(texts: Sequence[str]) -> str | None:
    """The form that reads the most of them, if that are nearly all; else None. `auto` is ISO 8601 or numbers."""
    if not texts:
        return None

    def share(form: str) -> float:
        read = reader(form, UTC)
        return sum(read(text) is not None for text in texts) / len(texts)

    best = max((AUTO, *FORMS), key=share)
    return best if share(best) >= _MOST else None


def is_likely(name: str, texts: Sequence[str]) -> bool:
    """Whether a column that could be read as moments is one: numbers are, when it is called so and they can be."""
    numbers = [float(text) for text in texts if _NUMBER.fullmatch(text)]
    if len(numbers) < _MOST * len(texts):
        return True
    large = all(number >= _EARLY for number in numbers)
    return large and any(word in name.lower() for word in _NAMES)


def reader(form: str, zone: tzinfo | None = None) -> Callable[[str], float | None]:
    """Text to seconds since the epoch; None where it is no moment. `zone` is for those without one."""
    zone = zone or UTC
    if form == EPOCH_S:
        return _number
    if form == EPOCH_MS:
        return lambda text: None if (found := _number(text)) is None else found / 1e3
    if form == AUTO:
        return lambda text: _iso(text, zone)
    return lambda text: _formed(text, form, zone)


def zone_named(name: str) -> tzinfo:
    """Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"time_zone: {name[:60]!r} is none") from error


def scaled(number: float) -> float:
    """Seconds of a number since the epoch whose unit is told by its size: s, ms, µs or ns."""
    while abs(number) >= _LATE:
        number /= 1e3
    return number


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _iso(text: str, zone: tzinfo) -> float | None:
    if (number := _number(text)) is not None and abs(number) >= _EARLY:
        return scaled(number)
    try:
        return _seconds(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return None


def _formed(text: str, form: str, zone: tzinfo) -> float | None:
    try:
        return _seconds(datetime.strptime(text, form), zone)
    except (ValueError, OverflowError):
        return None


def _seconds(moment: datetime, zone: tzinfo) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
