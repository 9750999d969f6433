"""Logs of every process in one form: lines for people, or JSON with LOG_FORMAT=json for machines.

What is bound with `bind` is part of every line of the same task or thread: above all `request_id`, the one
thing that leads through web, worker and worker-app.

What strangers send is in lines too: a path, a file's name, what an exception says. It can neither begin a line nor name
a field of its own, and what is secret in it is left out.
"""

from __future__ import annotations

import contextvars
import json
import logging
import logging.config
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_bound: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("bound", default=_NOTHING)

# What a record has by itself; the rest came as `extra`.
_OWN = set(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "request",
    "status_code",
    "color_message",
}


# Links that let somebody in (deepseek_web/urls.py, apps/accounts/urls.py), keys behind their visible beginning, and
# secrets of webhooks. A token has 32 characters and more; words of other addresses in these places are shorter.
_SECRET = re.compile(r"(/invitations/|/reset/key/|\bdsw-[\w-]{6}|\bwhsec_)[^/\s\"'\\]{16,}")
_MARKS = ("/invitations/", "/reset/key/", "dsw-", "whsec_")  # looked for first: most lines have none
# Ends a line, moves the cursor of a terminal, or turns the direction of writing.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@contextmanager
def bind(**values: Any) -> Iterator[None]:
    """Add these to every line that is logged inside the block."""
    token = _bound.set({**_bound.get(), **values})
    try:
        yield
    finally:
        _bound.reset(token)


def note(**values: Any) -> None:
    """Add these to what the innermost `bind` binds, for the lines that are still to come; also from a task that was
    started inside it. Nothing outside of one."""
    bound = _bound.get()
    if isinstance(bound, dict):
        bound.update(values)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was bound and what came with the record."""
    extra = {name: value for name, value in record.__dict__.items() if name not in _OWN and name[0] != "_"}
    return {**_bound.get(), **extra}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, process, message, bound fields, exception."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "message": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _masked(json.dumps(line, ensure_ascii=False, default=str))


class LineFormatter(logging.Formatter):
    """`time level logger message name=value ...`; values with spaces are quoted, tracebacks are indented."""

    def __init__(self, process: str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        pairs = [f"{name}={_quoted(str(value))}" for name, value in fields(record).items()]
        return _escaped(" ".join([super().formatMessage(record), *pairs]))

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"    {_escaped(line)}" for line in super().formatException(ei).split("\n"))

    def format(self, record: logging.LogRecord) -> str:
        return _masked(super().format(record))


def _masked(text: str) -> str:
    return _SECRET.sub(r"\1...", text) if any(mark in text for mark in _MARKS) else text


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if " " in value or '"' in value else value


def configuration(process: str, *, level: str = "INFO", form: str = "lines") -> dict[str, Any]:
    """For logging.config.dictConfig. Raises ValueError for a form that is neither `lines` nor `json`."""
    # No line of ours names a thread, a process or a place in the source; looking them up is half of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    formatters = {"lines": LineFormatter, "json": JsonFormatter}
    if form not in formatters:
        raise ValueError(f"LOG_FORMAT must be lines or json, not {form!r}")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatters[form], "process": process}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        # Who writes a line for each message or request by itself says it twice.
        "loggers": {
            **{
                name: {"level": "WARNING"}
                for name in ("celery", "kombu", "django.request", "django.channels", "uvicorn.access")
            },
            **{name: {"handlers": [], "propagate": True} for name in ("uvicorn", "uvicorn.error")},
        },
    }
