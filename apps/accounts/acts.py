"""Carrying out what somebody asks for on a page: call the service, say what came of it, go back."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from apps.accounts.decorators import person


def who(request: HttpRequest) -> dict[str, Any]:
    """The arguments by which every verb knows who asks and from where."""
    return {"actor": person(request), "address": request.META.get("REMOTE_ADDR") or None}


def carry_out(
    request: HttpRequest, act: Callable[[], Any], done: str, *, to: str, said: Callable[[str], str] = str
) -> HttpResponse:
    """`done` becomes a notice; a ValueError(`field: reason`) of the service is shown instead, as `said` puts it."""
    try:
        act()
    except ValueError as error:
        messages.error(request, said(reason(error)))
    else:
        messages.success(request, done)
    return redirect(_next(request) or to)


def refuse(request: HttpRequest, form: BaseForm, *, to: str) -> HttpResponse:
    """Say the first thing that is wrong with the form."""
    field, errors = next(iter(form.errors.items()))
    label = f"{form.fields[field].label or field}: " if field in form.fields else ""
    messages.error(request, f"{label}{errors[0]}")
    return redirect(_next(request) or to)


def reason(error: ValueError) -> str:
    """Without the name of the field, which only programs need."""
    text = str(error)
    field, _, rest = text.partition(": ")
    return rest if rest and field.isidentifier() else text


def _next(request: HttpRequest) -> str:
    """The page the person was on, if it is one of ours."""
    target = request.POST.get("next", "")
    return target if url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()) else ""
