"""The files of pictures, for who may see them. A picture never changes, so browsers keep it; only they do."""

from uuid import UUID

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only
from apps.search.permissions import owned_query_picture, visible_picture

_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


@members_only
@require_safe
def file(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    """The picture as it is kept; with ?download it is saved under its name."""
    picture = visible_picture(request.user, picture_id)
    response = sent_file(request, picture.file)
    name = f"{picture.name.rpartition('.')[0] or picture.name}.{picture.file.rpartition('.')[2]}"
    response.headers["Content-Disposition"] = content_disposition_header("download" in request.GET, name) or "inline"
    return response


@members_only
@require_safe
def thumbnail(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    return sent_file(request, visible_picture(request.user, picture_id).thumbnail)


@members_only
@require_safe
def sent_thumbnail(request: HttpRequest, query_picture_id: UUID) -> HttpResponse:
    query = owned_query_picture(request.user, query_picture_id)
    if not query.is_ready:
        raise Http404
    return sent_file(request, query.thumbnail)


def sent_file(request: HttpRequest, name: str) -> HttpResponse:
    """With what lets a browser keep it. Raises Http404 when the storage has lost it."""
    tag = f'"{name.rpartition("/")[2]}"'
    response: HttpResponseBase
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        try:
            opened = default_storage.open(name)
        except FileNotFoundError as error:
            raise Http404 from error
        response = FileResponse(opened, content_type=_TYPES.get(name.rpartition(".")[2], "application/octet-stream"))
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, max-age=86400"
    # Whatever a file holds, it is a picture and nothing else.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response  # type: ignore[return-value]
