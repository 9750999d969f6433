from django.urls import URLPattern, URLResolver, include, path

from apps.api import native, openai
from apps.api.document import openapi

# The two APIs come before everything else of the site: each address that is tried before costs their requests time.
api_urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", openai.api.urls),
    path("api/v1/openapi.json", openapi, name="openapi"),
    path("api/v1/", native.api.urls),
]

urlpatterns = [
    path("", include("apps.api.health")),
    path("", include("apps.api.metrics")),
    path("keys/", include("apps.api.key_pages")),
    path("api/docs/", include("apps.api.reference_page")),
]
