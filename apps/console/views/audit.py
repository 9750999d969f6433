"""The audit log: who did what, newest first."""

from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.console import history, inventory
from apps.console.permissions import administrators_only

_PAGE = 50


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    words, kind = request.GET.get("q", "").strip(), request.GET.get("object", "")
    page = Paginator(inventory.audit(words=words, kind=kind), _PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "lines": history.lines(page.object_list),
        "words": words,
        "kind": kind,
        "query": urlencode({"q": words, "object": kind}) + "&",
        "kinds": inventory.KINDS,
    }
    return render(request, "console/audit.html", context)
