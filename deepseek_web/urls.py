"""Where every address leads."""

from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path, re_path

from apps.serving.routing import websocket_urlpatterns
from deepseek_web import views

__all__ = ["urlpatterns", "websocket_urlpatterns"]

# Only the part of allauth that this site offers; the names are the ones allauth reverses.
account_urls = [
    path("login/", account.login, name="account_login"),
    path("signup/", account.signup, name="account_signup"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", account.password_set, name="account_set_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("password/reset/key/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
]

# One door: Django's own knows neither limits on attempts nor a second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", views.home, name="home"),
    path("theme/", views.set_theme, name="set_theme"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("accounts/", include(account_urls)),
    path("profile/", include("apps.accounts.urls")),
    path("chat/", include("apps.chat.urls")),
    path("classify/", include("apps.classify.urls")),
    path("console/", include("apps.console.urls")),
    path("", include("apps.quotas.urls")),
    path("admin/", admin.site.urls),
    path("", include("apps.api.urls")),
]

handler500 = "deepseek_web.views.server_error"
