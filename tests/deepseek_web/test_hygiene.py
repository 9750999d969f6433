"""What keeps the site safe in production, and that nothing of it is lost by accident."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = """
import json, django
from django.conf import settings
names = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SECURE_SSL_REDIRECT",
         "SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD", "X_FRAME_OPTIONS",
         "SESSION_COOKIE_SAMESITE"]
print(json.dumps({name: getattr(settings, name) for name in names}))
"""


def run(*arguments: str, **environment: str) -> str:
    base = {**os.environ, "DJANGO_SETTINGS_MODULE": "deepseek_web.settings"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=base | environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_check_of_a_deployment_finds_nothing() -> None:
    said = run("manage.py", "check", "--deploy", "--fail-level", "INFO", HTTPS="1")
    assert "no issues" in said


def test_behind_https_cookies_never_travel_in_the_clear() -> None:
    assert json.loads(run("-c", SETTINGS, HTTPS="1")) == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": False,
        "SECURE_HSTS_PRELOAD": False,
        "X_FRAME_OPTIONS": "DENY",
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def test_subdomains_and_preload_are_promised_only_by_the_operators_word() -> None:
    said = json.loads(run("-c", SETTINGS, HTTPS="1", HSTS_SUBDOMAINS="1", HSTS_PRELOAD="1"))
    assert (said["SECURE_HSTS_INCLUDE_SUBDOMAINS"], said["SECURE_HSTS_PRELOAD"]) == (True, True)


def test_secrets_come_from_the_environment_alone() -> None:
    text = (ROOT / "deepseek_web/settings.py").read_text()
    found = re.findall(r"^(\w*(?:SECRET|PASSWORD|TOKEN)\w*) = ([^\[\n]+)$", text, re.MULTILINE)
    assert [(name, value.partition("  #")[0]) for name, value in found] == [
        ("SECRET_KEY", 'env("SECRET_KEY")'),
        ("SECRET_KEY_FALLBACKS", 'env_list("SECRET_KEY_FALLBACKS")'),
    ]


@pytest.mark.parametrize("client", ["urllib.request", "http.client", "httpx", "requests", "aiohttp", "urllib3"])
def test_no_page_fetches_anything(client: str) -> None:
    """Whoever adds an outgoing request (a webhook, a download by address) must refuse private addresses first."""
    imports = re.compile(rf"^\s*(?:import|from) {re.escape(client)}\b", re.MULTILINE)
    found = [str(path.relative_to(ROOT)) for path in (ROOT / "apps").rglob("*.py") if imports.search(path.read_text())]
    assert found == (["apps/anomaly/webhooks.py"] if client == "http.client" else [])  # which does
