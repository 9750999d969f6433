from django.urls import path

from apps.home import views

app_name = "home"

urlpatterns = [
    path("", views.page, name="page"),
    path("advisor/", views.advisor, name="advisor"),
    path("jump/", views.jump, name="jump"),
    path("steps/", views.hide_steps, name="hide_steps"),
]
