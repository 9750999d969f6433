"""What comes by the clock: keys that end soon, notices that are old."""

from datetime import datetime, timedelta

from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext_noop

from apps.accounts.models import APIKey
from apps.notices.models import Kind, Level, Notice
from apps.notices.services import notify, remove_old

_SOON = timedelta(days=7)


def tend(now: datetime) -> None:
    """From a task of every ten minutes."""
    warn_of_keys(now)
    remove_old(now)


def warn_of_keys(now: datetime) -> None:
    """Once of each that ends within a week, was made for longer than that, and has no successor."""
    replaced = APIKey.objects.exclude(replaces=None).filter(revoked_at=None).values("replaces")
    ending = APIKey.objects.filter(
        expires_at__gt=now, expires_at__lte=now + _SOON, revoked_at=None, created_at__lt=F("expires_at") - _SOON,
        owner__is_active=True,
    ).exclude(pk__in=replaced)  # fmt: skip
    keys = {str(key.pk): key for key in ending}
    told = Notice.objects.filter(kind=Kind.KEY, subject__in=keys).values_list("subject", flat=True)
    for subject in keys.keys() - set(told):
        key = keys[subject]
        notify(
            to=[key.owner_id], kind=Kind.KEY, level=Level.WARNING, subject=subject, link=reverse("keys:listing"),
            message=gettext_noop("The API key {name} ends on {end}. Rotate it, and nothing stops."),
            values={"name": key.name, "end": key.expires_at},
        )  # fmt: skip
