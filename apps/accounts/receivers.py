"""What people do to themselves on allauth's pages goes into the audit log; an owner is always left."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.signals import password_changed, password_reset, password_set, user_signed_up
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.db.models import ProtectedError
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.services import end_sessions
from apps.audit.services import record

_ACTIONS = {
    user_signed_up: "user.sign_up",
    password_changed: "user.set_password",
    password_set: "user.set_password",
    password_reset: "user.set_password",
}


@receiver(list(_ACTIONS))
def on_act(sender: object, request: HttpRequest, user: User, signal: Any, **kwargs: Any) -> None:
    _say(_ACTIONS[signal], request, user)
    if signal is not user_signed_up:  # who learned the old password is out
        keep = request.session.session_key or ""
        end_sessions(user=user, actor=user, keep=keep, address=get_adapter().get_client_ip(request))


@receiver([social_account_added, social_account_removed])
def on_social_account(sender: object, request: HttpRequest, signal: Any, **kwargs: Any) -> None:
    account = kwargs["socialaccount"] if "socialaccount" in kwargs else kwargs["sociallogin"].account
    verb = "connect" if signal is social_account_added else "disconnect"
    _say(f"user.{verb}", request, account.user, provider=account.provider)


@receiver([authenticator_added, authenticator_removed])
def on_authenticator(
    sender: object, request: HttpRequest, user: User, authenticator: Authenticator, signal: Any, **kwargs: Any
) -> None:
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        verb = "add" if signal is authenticator_added else "remove"
        _say(f"user.{verb}_{authenticator.type}", request, user)


@receiver(pre_delete, sender=User)
def keep_an_owner(sender: object, instance: User, **kwargs: Any) -> None:
    """Also where rows are deleted in bulk."""
    if instance.is_last_owner:
        raise ProtectedError("The organisation needs an owner.", {instance})


def _say(action: str, request: HttpRequest, user: User, **data: Any) -> None:
    record(action=action, target=user, actor=user, address=get_adapter().get_client_ip(request), **data)
