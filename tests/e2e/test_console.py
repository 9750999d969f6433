"""The administrators' pages in a browser: both themes, wide and narrow, by keyboard, live, without scripts."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.stack import Stack
from tests.e2e.test_looks import look, overflow, violations

# Nothing can load it, so it costs the workers nothing; its state does not matter here.
MADE = """
from apps.accounts.models import User
from apps.audit.services import record
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from apps.serving.models import Deployment, Revision
owner = User.objects.get(email="browser@example.com")
model = Model.objects.create(name="looks", title="Looks", task="text-generation")
files = {"model.onnx": {"sha256": "a" * 64, "bytes": 123456}}
manifest = {"task": "text-generation", "precision": "int4", "files": files, "metrics": {"parity": {"prompts": 12}}}
version = ModelVersion.objects.create(model=model, number=1, artifact="looks", digest="e" * 64, manifest=manifest)
deployment = Deployment.objects.create(name="looks")
for number, weight in ((1, 90), (2, 10)):
    Revision.objects.create(deployment=deployment, version=version, number=number, weight=weight)
record(action="deployment.create", target=deployment, actor=owner, version="looks v1")
fields = dict(kind="looks", created_by=owner, state="FAILED", reason="It was made to fail.", log="one line")
print(Job.objects.create(title="A job that failed", **fields).pk)
"""
GONE = """
from apps.jobs.models import Job
from apps.registry.models import Model
from apps.serving.models import Deployment
Deployment.objects.filter(name="looks").delete()
Model.objects.filter(name="looks").delete()
Job.objects.filter(kind="looks").delete()
"""


@pytest.fixture
def pages(stack: Stack) -> Iterator[list[str]]:
    stack.python(GONE)
    job = stack.python(MADE).strip().splitlines()[-1]
    yield [
        "/console/deployments/",
        "/console/deployments/looks/",
        "/console/models/",
        "/console/models/looks/1/",
        "/console/workers/",
        "/console/jobs/",
        f"/console/jobs/{job}/",
        "/console/audit/",
    ]
    stack.python(GONE)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut(theme: str, page: Page, pages: list[str]):
    page.emulate_media(color_scheme=theme)
    for width in (1440, 900, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for path in pages:
            page.goto(path)
            assert overflow(page) <= 0, path
            assert violations(page) == [], path


def test_axe_finds_nothing_in_what_opens(page: Page, pages: list[str]):
    page.goto("/console/deployments/looks/")
    page.get_by_role("button", name="Actions on looks@2").click()
    assert violations(page) == []
    page.get_by_role("button", name="Number of workers").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    for name in ("Add a revision", "Edit", "Pause"):
        page.get_by_role("button", name=name, exact=True).click()
        assert violations(page) == [], name
        page.keyboard.press("Escape")
    page.goto("/console/models/")
    page.get_by_role("button", name="Import a model").click()
    assert violations(page) == []


def test_canary_is_moved_by_keyboard_and_other_tabs_see_it(page: Page, pages: list[str]):
    other = page.context.new_page()
    other.goto("/console/deployments/looks/")
    page.goto("/console/deployments/looks/")
    send = page.locator("[data-share-send]")
    expect(send).to_be_disabled()
    page.locator("[data-share-range]").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-share]")).to_have_text("15")
    expect(page.locator("[data-rest]")).to_have_text("85")
    send.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("Sent 15 % of looks to r2")
    expect(other.locator("[data-share]")).to_have_text("15")
    expect(other.locator("#happened-title").locator("../..")).to_contain_text("r2 15 %")


def test_what_is_being_set_is_not_renewed(page: Page, pages: list[str]):
    page.goto("/console/deployments/looks/")
    page.locator("[data-share-preset='50']").click()
    page.wait_for_timeout(6000)
    expect(page.locator("[data-share]")).to_have_text("50")


def test_delete_asks_for_the_name(page: Page, pages: list[str]):
    page.goto("/console/deployments/looks/")
    page.get_by_role("button", name="Delete").click()
    act = page.locator("[data-confirm-do]")
    expect(act).to_be_disabled()
    page.fill("#confirm-typed", "looks")
    act.click()
    expect(page).to_have_url(re.compile("/console/deployments/$"))
    expect(page.locator("[data-toast]")).to_contain_text("looks deleted")


def test_page_reads_without_scripts(browser, signed_in: dict, stack_url: str, pages: list[str]):
    context = browser.new_context(base_url=stack_url, storage_state=signed_in, java_script_enabled=False)
    page = context.new_page()
    page.goto("/console/deployments/looks/")
    expect(page.locator("table.revisions tbody tr")).to_have_count(2)
    context.close()


def test_no_policy_is_broken(page: Page, pages: list[str]):
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event => (window.broken ??= []).push(event.violatedDirective))"
    )
    for path in pages:
        look(page, path)
        assert page.evaluate("window.broken ?? []") == []
