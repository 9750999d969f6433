"""Celery entry points of serving, on queue `app`."""

from celery import shared_task

from apps.serving import services
from contracts import names


@shared_task(name=names.SETTLE_TASK)
def settle(request_id: str) -> None:
    services.settle(request_id=request_id)


@shared_task(name=names.RECOVER_TASK)
def recover() -> None:
    services.publish_deployments()
    services.recover()
