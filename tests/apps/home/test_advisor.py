"""Advice: every answer has some, and every figure stands in a result file."""

from itertools import product

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role, User
from apps.home import advisor, measured
from apps.home.advisor import ASKED, QUESTIONS, TASKS, advise

FIRST = {name: next(iter(choices)) for name, (_title, choices) in QUESTIONS.items()}
EVERY = [
    (task, dict(zip(ASKED[task], chosen, strict=True)))
    for task in TASKS
    for chosen in product(*(QUESTIONS[name][1] for name in ASKED[task]))
]


@pytest.mark.parametrize("task", TASKS)
def test_every_answer_is_advised_with_something_to_do_and_figures(task: str) -> None:
    for said in (said for one, said in EVERY if one == task):
        found = advise(task, {**FIRST, **said})
        assert found.model and found.precision and found.adaptation and found.label and found.why
        assert found.url.startswith("/") and found.figures, said


def test_no_figure_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def figure(name: str, file: str, place: str, unit: str = "%s") -> measured.Figure | None:
        found = measured.figure(name, file, place, unit)
        asked.append((file, place, found))
        return found

    monkeypatch.setattr(advisor, "figure", figure)
    for task, said in EVERY:
        advise(task, {**FIRST, **said})
    assert len({place for _, place, _ in asked}) > 20
    assert not [(file, place) for file, place, found in asked if found is None]


@pytest.mark.parametrize(
    ("task", "said", "model"),
    [
        ("chat", {}, "SmolLM2"),
        ("chat", {"language": "zh"}, "a chat model that was trained on Chinese, imported from Hugging Face"),
        ("texts", {"data": "few"}, "MiniLM, taught in the page"),
        ("texts", {"data": "thousands"}, "V1, dynamic attention"),
        ("texts", {"data": "hundreds", "length": "long"}, "MiniLM, taught in the page"),
        ("pictures", {}, "Chinese-CLIP or SigLIP, imported from Hugging Face"),
        ("pictures", {"data": "few"}, "MobileNetV2, taught in the page"),
        ("questions", {}, "V2 on drawn scenes"),
    ],
)
def test_what_is_recommended(task: str, said: dict[str, str], model: str) -> None:
    assert advise(task, {**FIRST, **said}).model == model


def test_where_a_simple_method_wins_it_is_told() -> None:
    chinese = advise("texts", {**FIRST, "data": "thousands", "language": "zh"})
    values = {one.name: float(one.value.split()[0]) for one in chinese.figures if "accuracy" in one.name}
    assert values["TF-IDF, accuracy"] > values["V1, accuracy"]
    assert any("TF-IDF" in why and "better" in why for why in chinese.why)


def test_a_graphics_card_has_no_figures_of_ours() -> None:
    assert any("nothing was measured" in one for one in advise("chat", {**FIRST, "hardware": "gpu"}).caveats)


def test_an_installation_without_the_files_advises_without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "results", lambda file: {})
    assert advise("chat", FIRST).figures == []


@pytest.mark.django_db
def test_the_page_goes_by_its_address_and_says_who_may(member: User, owner: User) -> None:
    client = Client()
    assert client.get(reverse("home:advisor")).status_code == 302
    client.force_login(member)
    page = client.get(reverse("home:advisor"), {"task": "chat", "data": "thousands", "nonsense": "<b>"})
    text = page.content.decode()
    assert 'value="thousands" selected' in text and "An administrator does this" in text
    assert reverse("console:adapt") not in text
    User.objects.filter(pk=owner.pk).update(role=Role.ADMIN)
    client.force_login(owner)
    assert reverse("console:adapt") in client.get(reverse("home:advisor"), {"data": "thousands"}).content.decode()
    odd = client.get(reverse("home:advisor"), {"task": "x", "data": "y"})
    assert odd.status_code == 200 and 'value="none" selected' in odd.content.decode()
