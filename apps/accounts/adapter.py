"""What allauth asks of us: who may sign up, what an identity provider's word is worth, how secrets are stored."""

import base64
import hashlib
import smtplib
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts import invited
from apps.accounts.models import Role, User
from apps.accounts.queries import is_signup_open
from apps.accounts.services import adopt_role

log = structlog.get_logger()


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """To everybody, or to whoever has come by a link that still works."""
        return invited.invitation_of(request) is not None or is_signup_open()

    def save_user(self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True) -> User:
        with invited.joining(request, user):
            return super().save_user(request, user, form, commit)  # type: ignore[no-any-return]

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """A mail server that is down does not undo what the mail is about."""
        try:
            super().send_notification_mail(*args, **kwargs)
        except (OSError, smtplib.SMTPException) as error:
            log.warning("notification not mailed", error=str(error))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("accounts:profile")


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return settings.OIDC_SIGNUP or super().is_open_for_signup(request, sociallogin)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        user.email = user.email.lower()
        user.name = (data.get("name") or "")[:80]
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        role = role_in(sociallogin.account.extra_data)
        if role is None:
            return
        if sociallogin.is_existing:
            adopt_role(user=sociallogin.user, role=role)
        else:
            sociallogin.user.role = role

    @transaction.atomic
    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: BaseForm | None = None) -> User:
        if form is not None:  # goes through AccountAdapter.save_user, which looks for an invitation itself
            return super().save_user(request, sociallogin, form)  # type: ignore[no-any-return]
        with invited.joining(request, sociallogin.user, keep=role_in(sociallogin.account.extra_data)):
            return super().save_user(request, sociallogin)  # type: ignore[no-any-return]


class MFAAdapter(DefaultMFAAdapter):
    """Secrets of second factors are worth nothing to who has a copy of the database only."""

    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _box().decrypt(encrypted_text.encode()).decode()


def role_in(claims: dict[str, Any]) -> Role | None:
    """The highest role that the claim OIDC_ROLE_CLAIM names, one value or a list; None when it names none."""
    said = {**claims.get("id_token", {}), **claims.get("userinfo", {})}.get(settings.OIDC_ROLE_CLAIM, [])
    values = said if isinstance(said, list) else [said]
    given = {settings.OIDC_ROLES[value] for value in values if value in settings.OIDC_ROLES}
    return next((role for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER) if role in given), None)


def _box() -> MultiFernet:
    """Old keys still open what they have locked (SECRET_KEY_FALLBACKS)."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derived(secret)) for secret in secrets])


def _derived(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(b"second factors:" + secret.encode()).digest())
