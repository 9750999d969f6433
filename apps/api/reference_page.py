"""GET /api/docs/: the reference of both APIs, made from their document."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only
from apps.api.reference import sections


@members_only
@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """`?q=` keeps the operations that have every word."""
    base_url = request.build_absolute_uri("/").rstrip("/")
    words = request.GET.get("q", "").strip()[:100]
    context = {"sections": sections(words=words, base_url=base_url), "words": words, "base_url": base_url}
    return render(request, "api/reference.html", context)


urlpatterns = [path("", reference, name="api_reference")]
