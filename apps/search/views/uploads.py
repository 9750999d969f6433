"""Files on their way in, a few a request; the page sends the next when one is answered."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.quotas.refusing import refusable, valid
from apps.search import archives, sending, uploads
from apps.search.forms import UploadForm
from apps.search.models import QueryPicture, Upload
from apps.search.permissions import owned_collection, owned_query_picture, owned_upload
from apps.serving.sentences import translated
from contracts import names


@senders_only
@require_POST
@refusable
def upload(request: HttpRequest) -> HttpResponse:
    """Files into a collection. The first request begins the upload and says which it is, the others go on with it."""
    form = valid(UploadForm(request.POST)).cleaned_data
    if form["upload"]:
        found = owned_upload(request.user, form["upload"])
    else:
        found = uploads.begin(collection=owned_collection(request.user, form["collection"]))
    made = uploads.receive(upload=found, files=request.FILES.getlist("files"))
    if request.headers.get("HX-Request"):
        return JsonResponse({"upload": str(found.pk), "items": len(made)})
    return redirect("search:manage", found.collection_id)


def _on_own(act: Callable[[HttpRequest, Upload], object]) -> Callable[..., HttpResponse]:
    """A view that does something with one's own upload and goes back to its collection."""

    @senders_only
    @require_POST
    def view(request: HttpRequest, upload_id: UUID) -> HttpResponse:
        found = owned_upload(request.user, upload_id)
        act(request, found)
        return redirect("search:manage", found.collection_id)

    return view


def _retry(request: HttpRequest, found: Upload) -> None:
    if count := uploads.retry(upload=found):
        done = ngettext("%(n)s file is tried again", "%(n)s files are tried again", count) % {"n": count}
        messages.success(request, done)
    else:
        messages.error(request, _("None of these files can be read, however often it is tried. Send others."))


pause = _on_own(lambda _request, found: uploads.pause(upload=found))
resume = _on_own(lambda _request, found: uploads.resume(upload=found))
dismiss = _on_own(lambda _request, found: uploads.dismiss(upload=found))
retry = _on_own(_retry)


@senders_only
@require_POST
@refusable
def send(request: HttpRequest) -> HttpResponse:
    """A picture to search with. It is read by worker-app; `sent` says when."""
    file = request.FILES.get("picture")
    if file is None:
        raise ValueError(_("picture: choose one first"))
    if (file.size or 0) > settings.SEARCH_MAX_FILE_MB * 2**20:
        raise ValueError(_("picture: is larger than %(n)s MB") % {"n": settings.SEARCH_MAX_FILE_MB})
    name = archives.clean_name(str(file.name))
    file.name = "picture"
    query = QueryPicture.objects.create(owner=person(request), name=name, file=file)
    transaction.on_commit(lambda: sending.send(names.READ_QUERY_PICTURE_TASK, str(query.pk)))
    query.refresh_from_db()
    return JsonResponse(_told(query), status=202)


@members_only
@require_safe
def sent(request: HttpRequest, query_picture_id: UUID) -> HttpResponse:
    return JsonResponse(_told(owned_query_picture(request.user, query_picture_id)))


def _told(query: QueryPicture) -> dict[str, Any]:
    return {
        "id": str(query.pk),
        "name": query.name,
        "is_ready": query.is_ready,
        "error": translated(query.error),
        "look": reverse("search:sent", args=[query.pk]),
        "picture": reverse("search:sent_thumbnail", args=[query.pk]) if query.is_ready else "",
    }
