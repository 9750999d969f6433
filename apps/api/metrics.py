"""GET /metrics for Prometheus, with an administrator's API key of the scope admin, or session. Others get 404."""

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from apps.accounts.models import Scope
from apps.accounts.permissions import is_administrator
from apps.accounts.queries import lacks_second_factor
from apps.api.auth import check_scope, looked_up, second_factor_required
from apps.api.errors import APIError
from apps.serving import metrics as serving


@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    try:
        if not await sync_to_async(_may_read)(request):
            raise Http404
    except APIError as refused:
        return refused.response()
    body = await sync_to_async(lambda: serving.render(serving.read()))()
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    """Raises an APIError where nothing but the second factor is missing that administrators need."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        if is_administrator(request.user) and lacks_second_factor(request.user):  # type: ignore[arg-type]
            raise second_factor_required()
        return is_administrator(request.user)
    key = looked_up(request, secret.strip())
    if key is None or Scope.ADMIN not in key.scopes or not is_administrator(key.owner):
        return False
    check_scope(key, Scope.ADMIN)
    return True


urlpatterns = [path("metrics", metrics)]
