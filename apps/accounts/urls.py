from django.urls import path

from apps.accounts import views

app_name = "accounts"

urlpatterns = [
    path("", views.profile, name="profile"),
    path("keys/", views.create_key, name="create_key"),
    path("keys/<uuid:key_id>/revoke/", views.revoke_key, name="revoke_key"),
]
