"""What a batch leaves when it goes, by its owner's wish or together with them."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.classify.batches import source_of
from apps.classify.models import Batch
from apps.quotas.services import release_bytes


@receiver(post_delete, sender=Batch)
def forget(instance: Batch, **kwargs: Any) -> None:
    """Its bytes are given back within the transaction, its file goes once that is committed."""
    release_bytes(source=source_of(instance.pk))
    if instance.upload:
        transaction.on_commit(lambda: instance.upload.delete(save=False))
