"""Celery entry points of serving, on queue `app`."""

from celery import shared_task

from apps.serving import guard, reconcile, recovery, services
from contracts import names


@shared_task(name=names.SETTLE_TASK)
def settle() -> None:
    services.settle_ended()


@shared_task(name=names.RECOVER_TASK)
def recover() -> None:
    recovery.recover()


@shared_task(name=names.RECONCILE_TASK)
def reconcile_deployments() -> None:
    reconcile.reconcile()
    guard.watch()
