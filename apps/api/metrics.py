"""GET /metrics for Prometheus, with an administrator's API key of the scope admin, or session. Others get 404."""

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from apps.accounts.keys import authenticate_key
from apps.accounts.models import Scope
from apps.accounts.permissions import is_administrator
from apps.api.auth import may
from apps.serving import metrics as serving


@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    if not await sync_to_async(_may_read)(request):
        raise Http404
    body = await sync_to_async(lambda: serving.render(serving.read()))()
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        key = authenticate_key(secret.strip())
        return key is not None and may(key, Scope.ADMIN)
    return is_administrator(request.user)


urlpatterns = [path("metrics", metrics)]
