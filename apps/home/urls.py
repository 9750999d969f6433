from django.urls import path

from apps.home import views

app_name = "home"

urlpatterns = [
    path("", views.page, name="page"),
    path("advisor/", views.advisor, name="advisor"),
    path("steps/", views.hide_steps, name="hide_steps"),
]
