"""Tags and filters that every page uses."""

import json
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString

from apps.chat.strings import STRINGS
from apps.serving.sentences import translated

register = template.Library()
register.filter("sentence", translated)


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """One drawing of the sprite; decoration, so the text beside it has to tell."""
    css = f"icon icon--{size}" if size else "icon"
    sprite = static("icons.svg")
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', css, sprite, name)


@register.simple_tag
def page_data() -> SafeString:
    """Strings and addresses that the scripts need, as data: nothing inline is ever run."""
    data = {
        "strings": {name: str(text) for name, text in STRINGS.items()},
        "icons": static("icons.svg"),
        "katex_css": static("vendor/katex/katex.css"),
    }
    return json_script(data, "page-data")


@register.simple_tag
def module_url(name: str) -> str:
    return static(f"js/{name}.js")


@register.simple_tag(takes_context=True)
def current_section(context: template.Context) -> str:
    """Which part of the navigation the page belongs to."""
    match = getattr(context.get("request"), "resolver_match", None)
    if match is None:
        return ""
    whole = match.app_name if match.app_name in ("chat", "search", "anomaly", "teach") else ""
    return SECTIONS.get(match.view_name, whole)


SECTIONS = {
    "home:page": "home",
    "home:advisor": "advisor",
    "chat:compare": "compare",
    "chat:comparison": "compare",
    "classify:page": "classify",
    "classify:batch": "classify",
    "keys:listing": "keys",
    "keys:rotate": "keys",
    "quotas:usage": "usage",
    "quotas:limits": "limits",
    "quotas:set_limit": "limits",
    "quotas:apply_preset": "limits",
    "quotas:set_price": "limits",
    "console:deployments": "deployments",
    "console:deployment": "deployments",
    "console:models": "models",
    "console:plan": "models",
    "console:adapt": "models",
    "console:start_adaptation": "models",
    "console:version": "models",
    "console:workers": "workers",
    "console:jobs": "jobs",
    "console:job": "jobs",
    "console:audit": "audit",
    "accounts:people": "people",
    "accounts:person": "people",
    "accounts:invite": "people",
    "accounts:organization": "organization",
    "accounts:teams": "teams",
    "accounts:team": "teams",
}


@register.filter
def split(text: str) -> list[str]:
    return text.split(",")


@register.filter(name="json")
def to_json(value: Any) -> str:
    """For a data attribute; the template escapes it."""
    return json.dumps(value)


@register.filter
def get(values: dict[str, Any], name: str) -> Any:
    """`values[name]`, or nothing."""
    value = values.get(name)
    return "" if value is None else value


@register.filter
def seconds(value: Any) -> str:
    """0.312 -> 0.31, 12.34 -> 12.3"""
    if not isinstance(value, int | float):
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


@register.filter
def thousands(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
