"""Where every address leads."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as social
from django.contrib import admin
from django.urls import include, path, re_path

from apps.accounts.permissions import may_open_raw_data
from apps.anomaly.routing import websocket_urlpatterns as of_assets
from apps.api.urls import api_urlpatterns
from apps.serving.routing import websocket_urlpatterns as of_streams
from deepseek_web import views

__all__ = ["urlpatterns", "websocket_urlpatterns"]

websocket_urlpatterns = [*of_streams, *of_assets]

# Only the part of allauth that this site offers; the names are the ones allauth reverses.
account_urls = [
    path("login/", account.login, name="account_login"),
    path("signup/", account.signup, name="account_signup"),
    path("logout/", account.logout, name="account_logout"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
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
    path("2fa/", mfa.index, name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("2fa/totp/", include("allauth.mfa.totp.urls")),
    path("2fa/recovery-codes/", include("allauth.mfa.recovery_codes.urls")),
    path("2fa/passkeys/", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("2fa/passkeys/add/", webauthn.add_webauthn, name="mfa_add_webauthn"),
    path("2fa/passkeys/login/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("2fa/passkeys/reauthenticate/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("2fa/passkeys/<int:pk>/edit/", webauthn.edit_webauthn, name="mfa_edit_webauthn"),
    path("2fa/passkeys/<int:pk>/remove/", webauthn.remove_webauthn, name="mfa_remove_webauthn"),
    path("provider/", social.connections, name="socialaccount_connections"),
    path("provider/signup/", social.signup, name="socialaccount_signup"),
    path("provider/cancelled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("provider/error/", social.login_error, name="socialaccount_login_error"),
    path("", include("allauth.socialaccount.providers.openid_connect.urls")),
]

# One door: Django's own knows neither limits on attempts nor a second factor, nor who owns the organisation.
admin.site.login = views.raw_data_login  # type: ignore[method-assign]
admin.site.has_permission = may_open_raw_data  # type: ignore[method-assign]

urlpatterns = [
    path("", include(api_urlpatterns)),
    path("", include("apps.home.urls")),
    path("theme/", views.set_theme, name="set_theme"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("accounts/", include(account_urls)),
    path("", include("apps.accounts.urls")),
    path("chat/", include("apps.chat.urls")),
    path("classify/", include("apps.classify.urls")),
    path("search/", include("apps.search.urls")),
    path("anomaly/", include("apps.anomaly.urls")),
    path("teach/", include("apps.teach.urls")),
    path("notices/", include("apps.notices.urls")),
    path("console/", include("apps.console.urls")),
    path("", include("apps.quotas.urls")),
    path("admin/", admin.site.urls),
    path("", include("apps.api.urls")),
]

handler500 = "deepseek_web.views.server_error"
