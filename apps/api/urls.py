from django.urls import include, path

from apps.api.openai import api

urlpatterns = [path("", include("apps.api.health")), path("v1/", api.urls)]
