"""Every address, every method, four people: table.txt says what each of them gets."""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver
from django.urls import path as url
from django.urls.resolvers import RegexPattern

from tests.access.conftest import APIS, Person
from tests.access.routes import path, routes
from tests.access.table import PEOPLE, TABLE, Row, read, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CLOSED = {"405", "404", "401", "403", "login"}  # a method that answers everybody like this needs no row
# Views of Django and allauth take PUT as POST, or send everybody elsewhere before they look at the method.
FOREIGN = ("/accounts/", "/admin/", "/i18n/")

ROUTES = sorted(set(routes()))
ROWS = read(TABLE.read_text())
ADVICE = """
{route} does not answer as tests/access/table.txt says.
the table:
{wanted}
the site:
{found}
Read each code of the site: it is an answer to {people}. Where it is right, copy the row into table.txt.
"""


def observe(route: str, method: str, people: dict[str, Person], things: dict[str, Any]) -> Row:
    """What everybody gets; whatever a request changes is taken back before the next."""
    answers = []
    for name in PEOPLE:
        with transaction.atomic():
            answers.append(people[name].ask(method, path(route, things)))
            transaction.set_rollback(True)
    return Row(method, route, tuple(answers))


def differs(found: Row, wanted: list[Row]) -> bool:
    row = next((row for row in wanted if row.method in (found.method, "*")), None)
    if row is None:
        return not all(map(_is_closed, found.answers, _known(found.route, wanted)))
    return any(want not in (got, "any") for want, got in zip(row.answers, found.answers, strict=True))


def _known(route: str, wanted: list[Row]) -> list[set[str]]:
    """What each person gets from the route by the methods in the table."""
    if not route.startswith(FOREIGN):
        return [set()] * len(PEOPLE)
    return [{row.answers[place] for row in wanted} for place in range(len(PEOPLE))]


def _is_closed(answer: str, known: set[str]) -> bool:
    return answer in CLOSED | known


@pytest.mark.parametrize("route", ROUTES)
def test_answers(route: str, people: dict[str, Person], things: dict[str, Any]) -> None:
    wanted = rows_of(route, ROWS)
    found = [observe(route, method, people, things) for method in METHODS]
    wrong = [row for row in found if differs(row, wanted)]
    if wrong or not wanted:
        said = [row for row in found if row in wrong or not set(row.answers) <= CLOSED] or found
        text = {"wanted": "\n".join(map(str, wanted)) or "(no row)", "found": "\n".join(map(str, said))}
        pytest.fail(ADVICE.format(route=route, people=", ".join(PEOPLE), **text), pytrace=False)


def test_no_row_is_about_a_route_that_is_gone() -> None:
    rows = [row for row in ROWS if row.method != "SOCKET"]
    gone = [row for row in rows if not any(rows_of(route, [row]) for route in ROUTES)]
    assert gone == []


def test_a_new_route_is_found_and_has_no_row() -> None:
    resolver = URLResolver(RegexPattern(r"^"), [url("new/<int:thing_id>/", lambda request: None)])
    assert [(route, rows_of(route, ROWS)) for route in routes(resolver)] == [("/new/<int:thing_id>/", [])]


FORMS = sorted({row.route for row in ROWS if row.method == "POST" and not row.route.startswith(APIS)})


@pytest.mark.parametrize("route", FORMS)
def test_forms_without_a_token_are_refused(route: str, people: dict[str, Person], things: dict[str, Any]) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = people["admin"].browser.cookies
    assert browser.post(path(route, things)).status_code == 403
