"""Middleware of the pages."""

import zoneinfo
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

GetResponse = Callable[[HttpRequest], HttpResponse]


def person_time_zone(get_response: GetResponse) -> GetResponse:
    """Dates are shown in the time zone that the browser left in the cookie `tz`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            zone = zoneinfo.ZoneInfo(request.COOKIES.get("tz", ""))
        except (ValueError, zoneinfo.ZoneInfoNotFoundError, OSError):
            return get_response(request)
        with timezone.override(zone):
            return get_response(request)

    return middleware
