"""What things of an asset leave when they go, by their owner's wish or together with them."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from apps.anomaly import room
from apps.anomaly.models import Asset, Detector, Fit, Leftover, Sensor, Upload
from apps.registry import artifacts


@receiver(pre_delete, sender=Asset)
def give_room_back(instance: Asset, **kwargs: Any) -> None:
    """Within the transaction that deletes it."""
    room.give_all_back(instance)


@receiver(post_delete, sender=Sensor)
def leave_readings(instance: Sensor, **kwargs: Any) -> None:
    """Millions of rows are not deleted while somebody waits for the page."""
    Leftover.objects.create(kind=Leftover.Kind.SENSOR, number=instance.pk)


@receiver(post_delete, sender=Detector)
def leave_scores(instance: Detector, **kwargs: Any) -> None:
    Leftover.objects.create(kind=Leftover.Kind.DETECTOR, number=instance.pk)


@receiver(post_delete, sender=Fit)
def forget_version(instance: Fit, **kwargs: Any) -> None:
    """Its files are of no other."""
    if instance.artifact:
        transaction.on_commit(lambda: artifacts.delete(instance.artifact))


@receiver(post_delete, sender=Upload)
def forget_file(instance: Upload, **kwargs: Any) -> None:
    if instance.file:
        transaction.on_commit(lambda: instance.file.delete(save=False))
