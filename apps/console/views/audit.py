"""The audit log: who did what, newest first; as a page and as CSV."""

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.acts import who
from apps.accounts.decorators import person
from apps.audit.queries import Search, older
from apps.audit.services import record
from apps.console import audit_csv, history, inventory
from apps.console.permissions import administrators_only

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
    """Everything that matches. That somebody took it is written down as well."""
    asked = _asked(request)
    entries = _search(asked).entries()
    record(action="audit.export", target=person(request), **who(request), **{k: v for k, v in asked.items() if v})
    response = StreamingHttpResponse(audit_csv.lines(entries), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate():%Y-%m-%d}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _asked(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "").strip() for name in _FIELDS}


def _search(asked: dict[str, str]) -> Search:
    """Days are those of the person's time zone; `until` is the last day that counts."""
    last = _day(asked["until"])
    return Search(
        words=asked["q"].replace("\x00", ""),
        kind=asked["object"].replace("\x00", ""),
        since=_start(_day(asked["since"])),
        until=_start(last + timedelta(days=1)) if last else None,
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date(1970, 1, 1) <= found <= date(9000, 1, 1) else None


def _start(day: date | None) -> Any:
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 18 else None
