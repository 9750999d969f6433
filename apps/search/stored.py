"""What things of a collection leave when they go, by their owner's wish or together with them."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from apps.files import storing
from apps.quotas.services import release_bytes
from apps.search import vectors
from apps.search.models import Index, Picture, QueryPicture, UploadItem


@receiver(pre_delete, sender=Picture)
def forget_vectors(instance: Picture, **kwargs: Any) -> None:
    """Within the transaction that deletes it."""
    indexes = list(Index.objects.filter(collection=instance.collection_id).values_list("pk", flat=True))
    vectors.forget(indexes, [instance.pk])


@receiver(post_delete, sender=Picture)
def forget_picture(instance: Picture, **kwargs: Any) -> None:
    """Its bytes are given back within the transaction, its files go once that is committed."""
    release_bytes(source=instance.held_as)
    transaction.on_commit(lambda: storing.remove(instance.file, instance.thumbnail))


@receiver(post_delete, sender=Index)
def drop_vectors(instance: Index, **kwargs: Any) -> None:
    vectors.drop_partition(instance.pk)


@receiver(post_delete, sender=UploadItem)
def forget_item(instance: UploadItem, **kwargs: Any) -> None:
    if instance.file:
        transaction.on_commit(lambda: instance.file.delete(save=False))


@receiver(post_delete, sender=QueryPicture)
def forget_query_picture(instance: QueryPicture, **kwargs: Any) -> None:
    transaction.on_commit(lambda: storing.remove(instance.thumbnail, instance.file.name or ""))
