"""Celery application of the Django side: queue `app` and the beat schedule."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deepseek_web.settings")

app = Celery("deepseek_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()  # the current app is per thread; views run in many
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """settings.LOGGING holds: Celery leaves logging alone when somebody listens to this signal."""
