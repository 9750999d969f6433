"""The audit log: who did what, newest first; as a page and as CSV."""

from datetime import date
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.audit.queries import Search, older
from apps.console import audit_csv, audit_search, history, inventory
from apps.console.permissions import administrators_only
from apps.serving.acts import who

_PAGE = 50
_FIELDS = ("q", "object", "since", "until")


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    asked = _asked(request)
    before = _number(request.GET.get("before", ""))
    found = older(_search(asked).entries(), before=before, size=_PAGE + 1)
    shown = found[:_PAGE]
    context = {
        "lines": history.lines(shown),
        "asked": asked,
        "query": urlencode({name: value for name, value in asked.items() if value}),
        "older": shown[-1].pk if len(found) > _PAGE else None,
        "is_later_page": before is not None,
        "is_narrowed": any(asked.values()),
        "kinds": inventory.KINDS,
    }
    return render(request, "console/audit.html", context)


@administrators_only
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    asked = _asked(request)
    given = {name: value for name, value in asked.items() if value}
    return audit_csv.download(_search(asked).entries(), **who(request), **given)


def _asked(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "").strip() for name in _FIELDS}


def _search(asked: dict[str, str]) -> Search:
    since, until = _day(asked["since"]), _day(asked["until"])
    return audit_search.search(words=asked["q"], kind=asked["object"], since=since, until=until)


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if audit_search.FIRST <= found <= audit_search.LAST else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 18 else None
