"""Every page that anybody can open: the Content-Security-Policy stands, and nothing inline needs it weakened."""

import re
from typing import Any

import pytest

from tests.access.conftest import Person
from tests.access.routes import path
from tests.access.table import PEOPLE, TABLE, read

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGES = sorted({row.route for row in read(TABLE.read_text()) if row.method == "GET" and "200" in row.answers})
INLINE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style\b|<[a-z][^>]*\s(?:style|on[a-z]+)=", re.I)


@pytest.mark.parametrize("route", PAGES)
def test_headers_and_markup(route: str, people: dict[str, Person], things: dict[str, Any]) -> None:
    answers = [people[name].browser.get(path(route, things), headers=people[name].headers) for name in PEOPLE]
    for answer in answers:
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
        if policy["default-src"] == "'none'":  # the file of a picture: nothing at all is run or loaded
            assert "sandbox" in policy
            continue
        assert (policy["script-src"], policy["style-src"], policy["frame-ancestors"]) == ("'self'", "'self'", "'none'")
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            assert INLINE.findall(answer.content.decode()) == []
