"""Messages to worker-app."""

from celery import current_app

from contracts import names


def send(task: str, *arguments: object) -> None:
    current_app.send_task(task, args=list(arguments), queue=names.APP_QUEUE, ignore_result=True)


def ask_to_read() -> None:
    send(names.READ_EXAMPLES_TASK)
