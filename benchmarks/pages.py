"""How heavy and how quick the chat page is: headless Chromium, localhost, cold cache, signed in.

python -m benchmarks.pages            starts an installation in var/e2e, measures, stops it
python -m benchmarks.pages --rounds 9

Measured with no conversation and with 2,000: bytes of JavaScript and CSS as transferred, first contentful
paint, the moment from which the field takes text; then the web process's resident memory and a second start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks.environment import commit, environment
from tests.e2e.conftest import CHROMIUM
from tests.e2e.stack import PASSWORD, Stack, start_stack

RESULT = Path(__file__).parent / "results" / "pages.json"
BROWSER = "/usr/bin/chromium"
MANY = 2000

# Runs before the page's own scripts; the composer marks itself ready when it listens.
WATCH = """
new MutationObserver((changes, observer) => {
  if (!document.querySelector("[data-composer][data-ready]")) return;
  window.usableAt = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"] });
"""
READ = """() => ({
  fcp_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  input_usable_ms: window.usableAt,
})"""

MAKE_USER = """
import random
from datetime import timedelta
from django.utils import timezone
from apps.accounts.models import User
from apps.chat.models import Conversation, Message
User.objects.filter(email={email!r}).delete()
user = User.objects.create_user({email!r}, {password!r})
draw = random.Random(7)
now = timezone.now()
talks = Conversation.objects.bulk_create(
    Conversation(owner=user, title=f"Conversation {{n}}", updated_at=now - timedelta(hours=n)) for n in range({count})
)
words = "copper river mill bridge answer model token window stream worker".split()
messages = Message.objects.bulk_create(
    Message(conversation=talk, role=role, text=" ".join(draw.choices(words, k=120)), model_name="M")
    for talk in talks for role in ("user", "assistant")
)
"""


def measure(browser: Browser, url: str, state: Any, rounds: int) -> list[dict[str, float]]:
    """Load the page with an empty cache, again and again; the first load warms up the server and is dropped."""
    return [load(browser, url, state) for _ in range(rounds + 1)][1:]


def load(browser: Browser, url: str, state: Any) -> dict[str, float]:
    context = browser.new_context(storage_state=state, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    sizes = transferred(context.new_cdp_session(page))
    page.goto(f"{url}/chat/", wait_until="networkidle")
    page.wait_for_selector("[data-composer][data-ready]")
    row = page.evaluate(READ)
    page.locator("#composer-text").press_sequentially("hi")
    assert page.locator("[data-send]").is_enabled(), "the field does not take text"
    context.close()
    return {**row, "js_css_kib": sum(sizes.values()) / 1024}


def transferred(session: Any) -> dict[str, float]:
    """Bytes over the wire, headers included, of each script and style sheet; filled while the page loads."""
    sizes: dict[str, float] = {}
    kinds: dict[str, str] = {}

    def note(event: dict[str, Any]) -> None:
        if kinds.get(event["requestId"]) in {"Script", "Stylesheet"}:
            sizes[event["requestId"]] = event["encodedDataLength"]

    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    session.on("Network.loadingFinished", note)
    session.send("Network.enable")
    return sizes


def sign_in(browser: Browser, url: str, email: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/accounts/login/")
    page.fill("input[type=email]", email)
    page.fill("input[type=password]", PASSWORD)
    page.click("button[type=submit].btn--primary")
    page.wait_for_url("**/chat/")
    state = context.storage_state()
    context.close()
    return state


def web_rss_mb(stack: Stack) -> float:
    """Resident memory of the web process of this installation, after it has served pages and rests."""
    port = stack.url.rpartition(":")[2]
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if any("uvicorn" in part for part in command) and port in command:
            return process.memory_info().rss / 2**20
    raise RuntimeError("The web process was not found.")


def run(rounds: int) -> dict[str, Any]:
    stack = start_stack()
    details: dict[str, list[dict[str, float]]] = {}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=CHROMIUM)
            for count, suffix in ((0, ""), (MANY, "_2000")):
                email = f"pages{suffix}@example.com"
                stack.python(MAKE_USER.format(email=email, password=PASSWORD, count=count))
                details[f"loads{suffix}"] = measure(browser, stack.url, sign_in(browser, stack.url, email), rounds)
            browser.close()
        time.sleep(2)
        summary: dict[str, float] = {"web_rss_mb": round(web_rss_mb(stack), 1)}
    finally:
        stack.stop()
    started = time.monotonic()
    second = start_stack()
    summary["second_start_s"] = round(time.monotonic() - started, 1)
    second.stop()
    for suffix in ("", "_2000"):
        for name in ("js_css_kib", "fcp_ms", "input_usable_ms"):
            values = [row[name] for row in details[f"loads{suffix}"]]
            summary[f"{name}{suffix}"] = round(statistics.median(values), 1)
    return {"summary": dict(sorted(summary.items())), "details": details}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="loads per case; the median is reported")
    arguments = parser.parse_args()
    result = run(arguments.rounds)
    result["environment"] = environment(("django", "uvicorn", "whitenoise", "playwright"))
    result["command"] = " ".join(["python -m benchmarks.pages", *sys.argv[1:]])
    result["commit"] = commit()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["summary"], indent=2))


if __name__ == "__main__":
    main()
