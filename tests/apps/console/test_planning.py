"""The planner's page: what it shows, what it refuses, whom it is for."""

import html
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.console.planning import MOST_WAYS, PlanForm, address, form_of, plans_of, values_of
from contracts.mesh_plans import EXAMPLES, plans

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def shown(browser: Client, query: str = "") -> str:
    answer = browser.get(reverse("console:plan") + query)
    assert answer.status_code == 200, answer.context["form"].errors
    return html.unescape(answer.content.decode())


def refused(browser: Client, **values) -> dict[str, list[str]]:
    answer = browser.get(reverse("console:plan") + address({**values_of(EXAMPLES["shakespeare"]), **values}))
    assert answer.status_code == 422
    page = html.unescape(answer.content.decode())
    errors = dict(answer.context["form"].errors)
    for name, said in errors.items():
        assert f'id="plan-{name}-error"' in page and said[0] in page
    assert "Fullest device" not in page
    return errors


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fills_the_form_with_itself(name: str) -> None:
    form = PlanForm(values_of(EXAMPLES[name]))
    assert form.is_valid()
    assert (form.job, form.cluster) == EXAMPLES[name]


def test_an_empty_page_plans_nothing_and_offers_the_examples(browser: Client) -> None:
    page = shown(browser)
    assert "Fullest device" not in page
    assert "The article’s 100 B on 128 nodes" in page and "6 meshes of small models were measured" in page
    assert "−7.8 %" in page and "−16.1 %" in page


def test_the_articles_size_is_a_plan_by_parts(browser: Client) -> None:
    page = shown(browser, address(values_of(EXAMPLES["100b"])))
    rows = plans(*EXAMPLES["100b"])
    best = rows[0]
    layout = best.plan.layout
    for text in ("101 B", "a plan, never run", f"{layout.dp} × {layout.pp} × {layout.ep}",
                 f"{best.peak.total / 1e9:.1f} GB", f"{best.peak.optimiser / 1e9:.1f} GB",
                 f"{best.seconds.total:.3g} s", f"{best.volume.all_to_all / 1e9:.1f} GB", 'value="4096"'):  # fmt: skip
        assert text in page, text
    assert page.count("#chosen") == 12
    assert "tight: less than a tenth is left" in page
    assert page.count('<span class="badge">tight</span>') == sum(row.peak.total > 72e9 for row in rows[:12])


def test_the_address_says_which_plan_is_looked_at() -> None:
    form = form_of({"devices": "4"})
    assert form.is_valid()
    found = plans_of(form, "2")
    assert found.chosen is found.lines[2]
    assert [plans_of(form, wrong).chosen.address for wrong in ("", "-1", "x", "99999999999")] == [
        found.lines[0].address
    ] * 4
    assert "devices=4" in found.lines[2].address and found.lines[2].address.endswith("&plan=2")


def test_what_an_address_leaves_out_is_the_small_example(browser: Client) -> None:
    assert "1.84 M" in shown(browser, "?devices=2")


def test_parts_of_a_bar_add_up_to_the_plan() -> None:
    form = form_of({"devices": "8"})
    assert form.is_valid()
    for line in plans_of(form, "").lines:
        assert sum(part.gb for part in line.parts) == pytest.approx(line.gb)
        assert all(0 <= part.begin <= part.begin + part.width <= 100.01 for part in line.parts)


def test_where_nothing_fits_the_least_is_shown(browser: Client) -> None:
    page = shown(browser, "?memory_gb=0.33&devices=2")
    assert "Nothing fits" in page and "does not fit" in page and "0 of " in page


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"layers": "0"}, "layers", "greater than or equal to 1"),
        ({"layers": "many"}, "layers", "whole number"),
        ({"batch": ""}, "batch", "required"),
        ({"tflops": "nan"}, "tflops", "number"),
        ({"heads": "48"}, "heads", "multiple of twice the heads"),
        ({"kv_heads": "3"}, "kv_heads", "divides them"),
        ({"picked": "9"}, "picked", "There are 8 experts"),
        ({"overhead_gb": "2"}, "overhead_gb", "nothing for the model"),
        ({"devices": "7"}, "devices", "6 devices would do."),
        ({"precision": "fp7"}, "precision", "fp7"),
        ({"vocab_size": "9" * 5000}, "vocab_size", "whole number"),
    ],
)
def test_each_field_says_what_to_do(browser: Client, values: dict, field: str, said: str) -> None:
    errors = refused(browser, **values)
    assert list(errors) == [field] and said in errors[field][0]


def test_numbers_with_many_divisors_are_refused_at_once(browser: Client) -> None:
    begins = time.process_time()
    errors = refused(browser, layers=256, experts=240, devices=720, batch=50_400)
    assert f"more than {MOST_WAYS} ways" in errors["devices"][0]
    assert time.process_time() - begins < 2


def test_the_page_asks_the_database_who_somebody_is_and_nothing_else(browser: Client) -> None:
    browser.get(reverse("console:plan"))
    with CaptureQueriesContext(connection) as empty:
        browser.get(reverse("console:plan"))
    with CaptureQueriesContext(connection) as planned:
        browser.get(reverse("console:plan") + address(values_of(EXAMPLES["100b"])))
    assert len(planned) == len(empty) <= 4


@pytest.mark.parametrize(("person", "status"), [("administrator", 200), ("member", 404), ("stranger", 404)])
def test_only_administrators_plan(person: str, status: int, request) -> None:
    client = Client()
    client.force_login(request.getfixturevalue(person))
    assert client.get(reverse("console:plan") + "?devices=2").status_code == status
