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


def test_nothing_that_is_logged_begins_a_line_or_names_a_field() -> None:
    try:
        raise ValueError("x\n2026-01-01 00:00:00,000 INFO apps signed in\x1b[2K")
    except ValueError:
        broken = record("a\r\nb", path="/\n2026-01-01 INFO\u2028\u202e", name_="x status=200", quoted='a"b')
        broken.exc_info = sys.exc_info()
    first, *others = logs.LineFormatter("web").format(broken).splitlines()
    values = r"""path="/\n2026-01-01 INFO\u2028\u202e" name_="x status=200" quoted="a\"b" """
    assert first.endswith(rf"WARNING apps.serving a\r\nb {values.strip()}")
    assert others and all(line.startswith("    ") for line in others)
    assert others[-1] == r"    2026-01-01 00:00:00,000 INFO apps signed in\x1b[2K"


@pytest.mark.parametrize("form", [logs.LineFormatter, logs.JsonFormatter])
def test_secrets_are_left_out(form: type[logging.Formatter]) -> None:
    token = "Zm9v_-" * 6
    try:
        raise ValueError(f"/invitations/{token}/")
    except ValueError:
        broken = record(
            f"Not Found: /accounts/password/reset/key/1a-{token}/", path=f"/invitations/{token}/", key=f"dsw-{token}"
        )
        broken.exc_info = sys.exc_info()
    text = form("web").format(broken)
    assert token[8:] not in text
    assert "/invitations/.../" in text and "/reset/key/.../" in text and "dsw-Zm9v_-..." in text


def test_other_addresses_stay_whole() -> None:
    paths = ["/invitations/create/", "/invitations/123456/revoke/", "/accounts/password/reset/key/done/"]
    text = logs.LineFormatter("web").format(record("answered", paths=paths))
    assert all(path in text for path in paths)


def test_configuration_refuses_an_unknown_form() -> None:
    with pytest.raises(ValueError, match="LOG_FORMAT must be lines or json, not 'xml'"):
        logs.configuration("web", form="xml")
