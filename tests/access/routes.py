"""Every address of the site, from the resolver."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")


def routes(resolver: URLResolver | None = None, start: str = "/") -> Iterator[str]:
    """As urls.py writes them, joined: `/chat/<uuid:conversation_id>/`. An address that serves several methods once."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = start + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif _is_served(pattern):
            yield route


def path(route: str, arguments: Mapping[str, Any]) -> str:
    """An address of the route. Raises KeyError for an argument that conftest.py's `things` does not know."""
    return _ARGUMENT.sub(lambda found: str(arguments[found[1] or found[2]]), route).replace("\\", "")


def _is_served(pattern: URLPattern) -> bool:
    """ninja names the root of an API so that it can be reversed; it only ever answers 404."""
    return pattern.name != "api-root"
