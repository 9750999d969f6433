"""How conversations and answers are shown."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from apps.chat.forms import ParametersForm
from apps.chat.measures import measures
from apps.chat.models import Answer, Conversation
from apps.chat.strings import STRINGS
from apps.serving.sentences import translated

register = template.Library()
register.filter("measures", measures)

_COLOURS = 8  # of experts


@dataclass
class Group:
    key: str
    title: str
    items: list[Conversation] = field(default_factory=list)


@register.filter
def by_date(conversations: list[Conversation]) -> list[Group]:
    """Pinned, today, yesterday, the last 7 days, then month by month; the order is kept."""
    today = timezone.localdate()
    groups: list[Group] = []
    for conversation in conversations:
        key, title = _place(conversation, today)
        if not groups or groups[-1].key != key:
            groups.append(Group(key, title))
        groups[-1].items.append(conversation)
    return groups


def _place(conversation: Conversation, today: date) -> tuple[str, str]:
    if conversation.pinned:
        return "pinned", _("Pinned")
    day = timezone.localdate(conversation.updated_at)
    if day >= today:
        return "today", _("Today")
    if day == today - timedelta(days=1):
        return "yesterday", _("Yesterday")
    if day > today - timedelta(days=7):
        return "week", _("Last 7 days")
    month = formats.date_format(day, "F" if day.year == today.year else "YEAR_MONTH_FORMAT")
    return f"{day:%Y-%m}", month


@register.filter
def marked(text: str, words: str) -> SafeString:
    """The text with the words looked for in <mark>."""
    parts = sorted({re.escape(word) for word in [words, *words.split()] if word}, key=len, reverse=True)
    if not parts:
        return mark_safe(escape(text))
    pieces = re.split(f"({'|'.join(parts)})", text, flags=re.IGNORECASE)
    return mark_safe("".join(f"<mark>{escape(p)}</mark>" if i % 2 else escape(p) for i, p in enumerate(pieces)))


@register.filter
def error_text(error: dict[str, Any]) -> str:
    """What went wrong, in words, and what to do next."""
    text = str(STRINGS.get(f"error_{error.get('type')}", STRINGS["error_internal"]))
    return re.sub(r"\{(\w+)\}", lambda name: translated(str(error.get(name[1], "?"))), text)


@register.filter
def context_used(answer: Answer) -> int:
    """Tokens of the conversation up to and with this answer."""
    usage = answer.usage
    return int(usage.get("prompt_tokens", 0)) + int(usage.get("completion_tokens", 0))


@register.filter
def share(part: Any, whole: Any) -> str:
    """Percent with one digit, at most 100; for widths in SVG."""
    return f"{min(100.0, 100 * part / whole):.1f}" if whole else "0"


@register.filter
def token_chances(answer: Answer) -> Iterator[dict[str, Any]]:
    """Each token with its probability, how sure that is (0 to 4), and what else was likely."""
    for entry in answer.logprobs:
        chance = math.exp(min(0.0, entry.get("logprob", 0.0)))
        others = [_alternative(other) for other in entry.get("top_logprobs", [])]
        token, experts = entry.get("token", ""), _experts(entry)
        ends_line = bool(experts) and token.endswith("\n")  # strips below the tokens take them out of the text's flow
        yield {
            "token": token.replace("\n", "↵") if ends_line else token,
            "ends_line": ends_line,
            "chance": f"{chance:.0%}",
            "level": _level(chance),
            "others": others,
            "experts": experts,
        }


def _experts(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each layer of a mixture: the numbers of the experts from 1, and their colours in turn."""
    return [
        {"y": 5 * layer, "numbers": [one + 1 for one in picked],
         "cells": [{"x": 8 * place, "colour": one % _COLOURS + 1} for place, one in enumerate(picked)]}
        for layer, picked in enumerate(entry.get("experts", []))
    ]  # fmt: skip


@register.filter
def expert_numbers(answer: Answer) -> list[int]:
    """All that were picked, in their order."""
    picked = {one for entry in answer.logprobs for layer in entry.get("experts", []) for one in layer}
    return [one + 1 for one in sorted(picked)]


@register.filter
def times(number: int, size: int) -> int:
    return number * size


@register.filter
def expert_colour(number: int) -> int:
    return (number - 1) % _COLOURS + 1


def _alternative(entry: dict[str, Any]) -> str:
    return f"{entry.get('token', '')!r} {math.exp(min(0.0, entry.get('logprob', 0.0))):.0%}"


def _level(chance: float) -> int:
    return sum(chance < bound for bound in (0.9, 0.6, 0.3, 0.1))


@register.filter
def rest(part: int, whole: int) -> str:
    """Where a bar that ends at the right begins, in percent."""
    return f"{100 - 100 * part / whole:.1f}" if whole else "100"


@register.filter
def vote_total(votes: dict[str, int]) -> int:
    return sum(votes.values())


@register.filter
def shown_parameters(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """Parameters with the names they have on the page."""
    fields = ParametersForm.base_fields
    return [(str(fields[name].label or name), str(value)) for name, value in parameters.items() if name in fields]
