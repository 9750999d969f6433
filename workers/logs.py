"""Logging of the processes of this side; Celery leaves it alone when somebody listens to its signal."""

import logging.config
import os

import structlog

from contracts import logs


def set_up(process: str) -> None:
    """Settings: LOG_LEVEL, LOG_FORMAT (lines or json), PROCESS_NAME."""
    process = os.environ.get("PROCESS_NAME") or os.environ.get("SUPERVISOR_PROCESS_NAME") or process
    level, form = os.environ.get("LOG_LEVEL", "INFO"), os.environ.get("LOG_FORMAT", "lines")
    logging.config.dictConfig(logs.configuration(process, level=level, form=form))
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
