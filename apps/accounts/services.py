"""Verbs on people. Those on their keys are in keys.py."""

import secrets

from apps.accounts.models import User


def create_administrator(*, email: str, password: str | None = None) -> tuple[User, str]:
    """A user who may do everything, and the password: the given one or a random one to be shown once.

    An existing user of that address becomes an administrator and gets the password.
    """
    password = password or secrets.token_urlsafe(12)
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        return User.objects.create_superuser(email, password), password
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return user, password
