"""What an example leaves when it goes, by its owner's wish or together with its class or classifier."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.files import storing
from apps.quotas.services import release_bytes
from apps.teach.models import Example


@receiver(post_delete, sender=Example)
def forget(instance: Example, **kwargs: Any) -> None:
    """Its bytes are given back within the transaction, its files go once that is committed."""
    if instance.kept:
        release_bytes(source=f"example:{instance.pk}")
    if instance.kept or instance.file:
        transaction.on_commit(lambda: storing.remove(instance.kept, instance.file.name or ""))
