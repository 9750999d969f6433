"""Celery entry points of quotas, on queue `app`."""

from celery import shared_task

from apps.quotas import refusals
from apps.quotas.roll_up import roll_up
from apps.quotas.sweep import sweep
from contracts import names


@shared_task(name=names.SWEEP_QUOTAS_TASK)
def sweep_quotas() -> None:
    refusals.store()
    sweep()


@shared_task(name=names.ROLL_UP_TASK)
def roll_up_usage() -> None:
    while not roll_up():
        pass
