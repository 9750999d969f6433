"""Celery entry points of teach, on queue `app`."""

from celery import shared_task

from apps.teach import reading, refining, sending, teaching
from contracts import names


@shared_task(name=names.READ_EXAMPLES_TASK)
def read() -> None:
    """A few of what waits; the next ones stand behind everybody else's tasks."""
    if reading.read_some():
        sending.ask_to_read()


@shared_task(name=names.SWEEP_TEACH_TASK)
def sweep() -> None:
    reading.sweep()
    teaching.sweep()
    refining.sweep()
