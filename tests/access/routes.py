"""Every address of the site, from the resolver."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from ninja.operation import Operation, PathView

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")


def routes(resolver: URLResolver | None = None, start: str = "/") -> Iterator[str]:
    """As urls.py writes them, joined: `/chat/<uuid:conversation_id>/`. An address that serves several methods once."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = start + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif _is_served(pattern):
            yield route


def operations(resolver: URLResolver | None = None, start: str = "/") -> Iterator[tuple[str, str, Operation]]:
    """Method, route and operation of everything that django-ninja serves."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = start + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from operations(pattern, route)
        else:
            for operation in _operations_of(pattern.callback):
                yield from ((method, route, operation) for method in operation.methods)


def path(route: str, arguments: Mapping[str, Any]) -> str:
    """An address of the route. Raises KeyError for an argument that conftest.py's `things` does not know."""
    return _ARGUMENT.sub(lambda found: str(arguments[found[1] or found[2]]), route).replace("\\", "")


def _operations_of(callback: Any) -> list[Operation]:
    """ninja hides the view in the closure of the function that Django calls."""
    cells = [cell.cell_contents for cell in getattr(callback, "__closure__", None) or ()]
    return [operation for view in cells if isinstance(view, PathView) for operation in view.operations]


def _is_served(pattern: URLPattern) -> bool:
    """ninja names the root of an API so that it can be reversed; it only ever answers 404."""
    return pattern.name != "api-root"
