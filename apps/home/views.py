"""The first page, and the page that says which model a task wants."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person
from apps.home import queries
from apps.home.advisor import ASKED, QUESTIONS, TASKS, advise
from apps.home.jump import groups

_COOKIE, _YEAR = "first_steps", 365 * 24 * 3600


@members_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with_steps = request.COOKIES.get(_COOKIE) != "hidden"
    found = queries.context(person(request), with_steps=with_steps)
    return render(request, "home/page.html", {**found, "shows_steps": found["steps_done"] < len(found["steps"])})


@members_only
@require_safe
def jump(request: HttpRequest) -> HttpResponse:
    """What the palette finds."""
    words = request.GET.get("q", "")
    return render(request, "home/_jump.html", {"groups": groups(person(request), words), "words": words.strip()})


@members_only
@require_POST
def hide_steps(request: HttpRequest) -> HttpResponse:
    response = redirect("home:page")
    response.set_cookie(_COOKIE, "hidden", max_age=_YEAR, samesite="Lax", httponly=True)
    return response


@members_only
@require_safe
def advisor(request: HttpRequest) -> HttpResponse:
    """What is asked stands in the address, so that advice can be passed on."""
    task = request.GET.get("task", "")
    task = task if task in TASKS else next(iter(TASKS))
    asked = []
    said = {name: next(iter(choices)) for name, (_title, choices) in QUESTIONS.items()}
    for name in ASKED[task]:
        title, choices = QUESTIONS[name]
        if (chosen := request.GET.get(name, "")) in choices:
            said[name] = chosen
        asked.append({"name": name, "title": title, "choices": choices, "chosen": said[name]})
    return render(request, "home/advisor.html", {
        "task": task, "tasks": TASKS, "asked": asked, "advice": advise(task, said),
        "may_do": person(request).is_administrator,
    })  # fmt: skip
