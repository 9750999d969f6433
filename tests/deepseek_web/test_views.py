"""The front door, the theme, the error pages, the time zone."""

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from deepseek_web.middleware import person_time_zone
from deepseek_web.views import server_error

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("theme", "kept"), [("dark", "dark"), ("light", "light"), ("pink", ""), ("system", "")])
def test_theme_is_kept_in_a_cookie(theme, kept):
    response = Client().post("/theme/", {"theme": theme, "next": "/accounts/login/"})
    assert response["Location"] == "/accounts/login/"
    assert response.cookies["theme"].value == kept


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_theme_leads_nowhere_else(target):
    assert Client().post("/theme/", {"theme": "dark", "next": target})["Location"] == "/"


@pytest.mark.django_db
def test_page_that_is_not_there():
    response = Client().get("/nothing/")
    assert response.status_code == 404
    assert "This page is not here" in response.content.decode()


@pytest.mark.django_db
def test_server_error_is_a_page():
    request = RequestFactory().get("/")
    request.COOKIES = {}
    assert server_error(request).status_code == 500


@pytest.mark.parametrize(
    ("cookie", "zone"), [("Asia/Shanghai", "Asia/Shanghai"), ("../etc/passwd", "UTC"), ("", "UTC")]
)
def test_time_zone_is_the_persons(cookie, zone):
    request = RequestFactory().get("/")
    request.COOKIES["tz"] = cookie
    seen = []
    person_time_zone(lambda request: seen.append(timezone.get_current_timezone_name()))(request)
    assert seen == [zone]
