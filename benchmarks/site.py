"""Somebody who is signed in, as a benchmark plays them."""

from __future__ import annotations

import re
from typing import Any

import requests

from benchmarks.fresh import Clone
from benchmarks.installation import Installation
from tests.e2e.stack import Stack

EMAIL, PASSWORD = "benchmark@example.com", "a long enough phrase"


class Site:
    """Pages over HTTP with a session."""

    def __init__(self, url: str, email: str = EMAIL, password: str = PASSWORD) -> None:
        self.url, self.session = url, requests.Session()
        form = self.session.get(f"{url}/accounts/login/", timeout=120).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        values = {"login": email, "password": password, "csrfmiddlewaretoken": token[1]}
        self.session.post(f"{url}/accounts/login/", data=values, headers={"Referer": url}, timeout=120)

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.session.get(self.url + path, params=query, timeout=120)

    def post(self, path: str, **values: Any) -> requests.Response:
        headers = {"X-CSRFToken": self.session.cookies["csrftoken"], "HX-Request": "true"}
        return self.session.post(self.url + path, headers=headers, timeout=120, **values)


def python(installation: Installation | Stack | Clone, code: str) -> str:
    """What `code` prints, run where Django is set up."""
    return installation.manage("shell", "--verbosity", "0", "--command", code)
