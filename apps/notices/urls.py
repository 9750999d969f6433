from django.urls import path

from apps.notices import views

app_name = "notices"

urlpatterns = [
    path("", views.page, name="page"),
    path("panel/", views.panel, name="panel"),
    path("read/", views.read_all, name="read_all"),
    path("<int:notice_id>/read/", views.read, name="read"),
]
