"""The centre of notices: a panel behind the bell of every page, and a page with all of them."""

from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person
from apps.notices import queries, services
from apps.notices.models import Kind, Notice
from apps.notices.permissions import own_notice

_PANEL, _PAGE = 8, 30
_PANEL_ID = "notices-panel"


@members_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All, or those of a kind or that nobody has read; `before` is where the page before ended."""
    chosen = {
        "kind": request.GET.get("kind", "") if request.GET.get("kind", "") in Kind else "",
        "unread": "1" if request.GET.get("unread") else "",
    }
    rows = queries.narrowed(person(request), kind=chosen["kind"], only_unread=bool(chosen["unread"]))
    place = _place(request.GET.get("before", ""))
    found = list((queries.behind(rows, *place) if place else rows)[: _PAGE + 1])
    shown = found[:_PAGE]
    return render(request, "notices/page.html", {
        "lines": queries.lines(person(request), shown),
        "chosen": chosen,
        "kinds": Kind.choices,
        "query": urlencode({name: value for name, value in chosen.items() if value}),
        "of_kind": urlencode({"kind": chosen["kind"]}) if chosen["kind"] else "",
        "is_narrowed": any(chosen.values()),
        "is_later_page": place is not None,
        "older": _cursor(shown[-1]) if len(found) > _PAGE else "",
        "kept_days": services.KEPT.days,
    })  # fmt: skip


@members_only
@require_safe
def panel(request: HttpRequest) -> HttpResponse:
    """The newest few."""
    return _panel(request)


@members_only
@require_POST
def read(request: HttpRequest, notice_id: int) -> HttpResponse:
    notice = own_notice(request.user, notice_id)
    services.mark_read(notice=notice)
    if request.headers.get("HX-Request"):
        return render(request, "notices/_line.html", {"line": queries.lines(person(request), [notice])[0]})
    return _back(request)


@members_only
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    services.mark_all_read(reader=person(request))
    return _panel(request) if request.headers.get("HX-Target") == _PANEL_ID else _back(request)


def _panel(request: HttpRequest) -> HttpResponse:
    newest = queries.narrowed(person(request))[:_PANEL]
    return render(request, "notices/_panel.html", {"lines": queries.lines(person(request), newest)})


def _back(request: HttpRequest) -> HttpResponse:
    """To the list as it was narrowed."""
    to = request.POST.get("next", "")
    return redirect(to if url_has_allowed_host_and_scheme(to, {request.get_host()}) else "notices:page")


def _cursor(notice: Notice) -> str:
    return f"{notice.happened_at.isoformat()}_{notice.pk}"


def _place(cursor: str) -> tuple[datetime, int] | None:
    """None for the first page, and for what is no place."""
    moment, _, pk = cursor.partition("_")
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (found, int(pk)) if found.tzinfo and pk.isdecimal() and len(pk) <= 18 else None
