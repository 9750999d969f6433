"""What a line of log holds."""

import json
import logging
import sys

import pytest

from contracts import logs

pytestmark = pytest.mark.unit


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.getLogger("apps.serving").makeRecord(
        "apps.serving", logging.WARNING, __file__, 1, message, (), None, extra=extra
    )


def test_json_line_has_what_was_bound_and_what_came_with_it() -> None:
    with logs.bind(request_id="r1"), logs.bind(attempt=2):
        line = json.loads(logs.JsonFormatter("worker").format(record("sent again", worker="w 1", text="猫")))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "apps.serving",
        "process": "worker",
        "message": "sent again",
        "request_id": "r1",
        "attempt": 2,
        "worker": "w 1",
        "text": "猫",
    }


def test_bound_values_end_with_their_block() -> None:
    with logs.bind(request_id="r1"):
        pass
    assert logs.fields(record("x")) == {}


def test_json_line_stays_one_line_whatever_is_logged() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        broken = record("a\nb", thing=object())
        broken.exc_info = sys.exc_info()
    text = logs.JsonFormatter("web").format(broken)
    assert "\n" not in text
    assert json.loads(text)["exception"].endswith("ValueError: two\nlines")


def test_line_for_people_ends_with_the_fields() -> None:
    with logs.bind(request_id="r1"):
        text = logs.LineFormatter("web").format(record("sent again", attempt=2))
    assert text.endswith("WARNING apps.serving sent again request_id=r1 attempt=2")


def test_configuration_refuses_an_unknown_form() -> None:
    with pytest.raises(ValueError, match="LOG_FORMAT must be lines or json, not 'xml'"):
        logs.configuration("web", form="xml")
