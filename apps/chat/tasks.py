"""Celery entry points of chat, on queue `app`."""

from celery import shared_task

from apps.chat import answers
from contracts import names


@shared_task(name=names.SWEEP_TASK)
def sweep() -> None:
    answers.fail_lost_answers()
