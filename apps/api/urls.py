from django.urls import include, path

from apps.api.openai import api

urlpatterns = [path("", include("apps.api.health")), path("", include("apps.api.metrics")), path("v1/", api.urls)]
