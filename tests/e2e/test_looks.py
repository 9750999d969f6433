"""Every page in both themes, both languages, wide and narrow: axe finds nothing, nothing is cut."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
TALK = """A **bold** word, `code`, a [link](https://example.com) and

```python
print(1)
```

| a | b |
|---|---|
| 1 | 2 |

$x^2$
"""
DOORS = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nothing/"]


@pytest.fixture(scope="session")
def pages(stack):
    """Addresses of every page, with something on each."""
    code = f"""
from datetime import timedelta
from django.utils import timezone
from apps.accounts.models import User
from apps.accounts.keys import create_api_key
from apps.chat.models import Comparison, Conversation, Lane, Message
owner = User.objects.get(email="browser@example.com")
create_api_key(owner=owner, name="looks")
talk = Conversation.objects.create(owner=owner, title="Looks", updated_at=timezone.now())
one = Message.objects.create(conversation=talk, role="user", text="Show everything.")
usage = {{"completion_tokens": 9, "prompt_tokens": 20, "duration": 1.0, "time_to_first_token": 0.2}}
shared = dict(conversation=talk, parent=one, role="assistant", model_name="M", usage=usage)
Message.objects.create(text="First", **shared)
talk.leaf = Message.objects.create(text={TALK!r}, **shared)
talk.save()
both = Comparison.objects.create(owner=owner, prompt="Which?", vote="A")
from apps.quotas.models import LedgerEntry, Limit, Refusal
shared = dict(user_id=owner.pk, user_label=owner.email, kind="text-generation")
for n in range(9):
    LedgerEntry.objects.create(
        at=timezone.now() - timedelta(days=n), source=f"looks:{{timezone.now()}}", deployment=f"model-{{n}}",
        output_tokens=100 + n, compute_seconds=n, **shared,
    )
what = dict(metric="output_tokens", window="month", defaults=dict(amount=10**6, set_by="looks"))
for scope, subject in (("organization", ""), ("user", ""), ("user", str(owner.pk))):
    Limit.objects.update_or_create(scope=scope, subject=subject, **what)
hour = timezone.now().replace(minute=0, second=0, microsecond=0)
Refusal.objects.get_or_create(
    hour=hour, scope="user", subject=str(owner.pk), metric="requests", window="day", subject_label=owner.email, count=3
)
for letter in "AB":
    Lane.objects.create(comparison=both, letter=letter, text="Text", model_name="M", usage=usage)
from apps.classify.models import Batch, Chunk
shared = dict(file_name="looks.csv", status="stopped", problem="The API key has ended.", total=64, done=1)
from apps.notices.services import notify
for n, level in enumerate(("info", "warning", "error")):
    notify(
        to=[owner], kind="limit", subject=f"user:{{owner.pk}}:requests:{{n}}", level=level, link="/usage/",
        message="{{who}}: {{share}} per cent of the limit of {{limit}} are used.",
        values={{"who": "Your account", "share": 80 + n, "limit": "9 requests a day"}},
    )
notify(to=[owner], kind="job", subject="gone", message="{{name}} was trained.", values={{"name": "V9"}})
batch = Batch.objects.create(owner=owner, deployment="mood", counts={{"good": 1}}, **shared)
results = [[["good", 0.9], ["bad", 0.1]], None]
Chunk.objects.create(batch=batch, number=0, rows=[[1, "good", ""], [2, "poor", ""]], results=results)
print(talk.pk, both.pk, batch.pk)
"""
    talk, both, batch = stack.python(code).strip().splitlines()[-1].split()
    return [
        "/chat/",
        "/chat/temporary/",
        f"/chat/{talk}/",
        "/chat/compare/",
        f"/chat/compare/{both}/",
        f"/classify/files/{batch}/",
        "/keys/",
        "/api/docs/",
        "/usage/",
        "/usage/?who=organization&range=24h&by=user&metric=requests",
        "/limits/",
        "/limits/?scope=user&what=output_tokens:month&amount=5",
        "/",
        "/notices/",
        "/advisor/?task=texts&data=thousands&length=long",
        "/console/models/plan/",
        "/profile/",
        "/accounts/password/change/",
    ]


def violations(page):
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]][:5]) for each in found]


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def look(page, path):
    page.goto(path)
    page.wait_for_load_state("networkidle")
    assert overflow(page) <= 0, path
    assert violations(page) == [], path


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 900, 390])
def test_axe_finds_nothing(theme, width, page, pages, stack_url):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 844})
    for path in pages:
        look(page, path)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_doors(theme, browser, stack_url):
    context = browser.new_context(base_url=stack_url, color_scheme=theme)
    page = context.new_page()
    for path in DOORS:
        look(page, path)
    context.close()


def test_axe_finds_nothing_in_what_opens(page, pages):
    page.goto(pages[2])
    page.wait_for_selector("[data-composer][data-ready]")
    page.keyboard.press("Control+k")
    page.wait_for_selector("[data-palette-found] [role=option]")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("[data-bell]").click()
    page.wait_for_selector("#notices-panel .notice")
    assert violations(page) == []
    page.keyboard.press("Escape")
    item = page.locator("[data-conversation-item]").first
    item.hover()
    item.locator("[data-conv-menu]").click()
    assert violations(page) == []
    page.locator("#conv-menu").get_by_text("Rename").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("[data-edit]").click()
    assert violations(page) == []


def test_phone_has_its_drawers_and_tabs(page, pages):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(pages[2])
    page.wait_for_selector("[data-composer][data-ready]")
    expect(page.locator(".tabbar")).to_be_visible()
    page.click("[data-drawer=conversations]")
    expect(page.locator("#conversations-drawer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#conversations-drawer")).to_be_hidden()
    page.click("[data-drawer=settings]")
    expect(page.locator("#temperature")).to_be_visible()
    page.click("#settings-drawer [data-drawer-close]")
    expect(page.locator("#settings-drawer")).to_be_hidden()
    expect(page.locator("#composer-text")).to_be_in_viewport()


def test_chinese_is_spoken_everywhere(page, context, pages, stack_url):
    context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": stack_url}])
    page.goto(pages[2])
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    expect(page.locator("[data-new-chat]")).to_contain_text("新对话")
    expect(page.locator("#composer-text")).to_have_attribute("placeholder", "向 SmolLM2 135M Instruct 提问")
    for path in pages:
        page.goto(path)
        assert overflow(page) <= 0
    page.goto("/profile/")
    page.click("main button[value=en]")
    expect(page.locator("h1")).to_have_text("Profile")


def test_theme_switches_and_stays(page):
    page.goto("/profile/")
    page.click("[data-theme-group] button[value=dark]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 20, 24)"
    page.goto("/chat/")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.click("[data-theme-button]")
    assert page.locator("html").get_attribute("data-theme") == "light"


def test_page_reads_without_scripts(browser, signed_in, stack_url, pages):
    context = browser.new_context(base_url=stack_url, storage_state=signed_in, java_script_enabled=False)
    page = context.new_page()
    page.goto(pages[2])
    expect(page.locator("[data-markdown]")).to_contain_text("A **bold** word")
    expect(page.locator("[data-conversation-item]").first).to_be_visible()
    context.close()


def test_nothing_is_loaded_from_elsewhere_and_no_policy_is_broken(page, pages, stack_url):
    foreign = []
    page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(stack_url) else None)
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event => (window.broken ??= []).push(event.violatedDirective))"
    )
    for path in pages:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.broken ?? []") == []
    assert [url for url in foreign if not url.startswith(("data:", "ws:"))] == []
