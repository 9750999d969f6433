"""Windows of a sensor: how they are written, tables of them, and a classifier that is taught with them on its page."""

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User
from apps.files.texts import UnreadableFile
from apps.teach import classifiers, refining, windows
from apps.teach.models import Classifier, Example
from tests.apps.teach.conftest import LessonWorker, label_of
from tests.apps.teach.test_views import browser, share, url

EIGHT = "1 2 3 4 5 6 7 8"


@pytest.mark.parametrize(
    "line",
    [
        EIGHT, " 1,2, 3,4 ,5,6,7,8, ", "1;2;3;4;5;6;7;8;", "1\t2\t3\t4\t5\t6\t7\t8", "[1, 2, 3, 4, 5, 6, 7, 8]",
        "1.0 2. +3 4e0 5 6 0.7e1 8.0", "1，2，3，4，5，6，7，8",
        "1,0;2,0;3,0;4,0;5,0;6,0;7,0;8", "1,0\t2\t3\t4\t5\t6\t7\t8,0",
    ],
)  # fmt: skip
def test_lines_of_many_separators_are_the_same_window(line: str) -> None:
    assert windows.parse(line) == EIGHT


def test_a_comma_between_semicolons_is_the_decimal_one_and_digits_are_those_that_a_model_sees() -> None:
    said = "0,5;-1,25;1e-3;.5;3,14159265358979;0;0;100000000000"
    assert windows.parse(said) == "0.5 -1.25 0.001 0.5 3.14159265 0 0 1e+11"
    assert windows.numbers(windows.parse(said))[:2] == [0.5, -1.25]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 2 3", "it has 3 values; a window has at least 8"),
        ("1 " * 513, "it has 513 values; a window has at most 512"),
        ("1 2 3 x 5 6 7 8", "value 4 is no number: x"),
        ("1;2;;4;5;6;7;8", "value 3 is no number: empty"),
        ("1 2 3 nan 5 6 7 8", "value 4 is no number: nan"),
        ("1 2 3 inf 5 6 7 8", "value 4 is no number: inf"),
        ("1 2 3 1_0 5 6 7 8", "value 4 is no number: 1_0"),
        ("1 2 3 ٤ 5 6 7 8", "value 4 is no number: ٤"),
        ("1 2 3 1e31 5 6 7 8", "value 4 is too large: 1e31"),
        ("1,5 2,5 3,5 4,5 5,5 6,5 7,5 8,5",
         "it has commas and spaces; where a comma is the decimal one, write semicolons between values"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_window_is_told(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        windows.parse(line)


def test_lines_that_cannot_be_read_take_nothing_else_with_them() -> None:
    found = windows.lines(f"{EIGHT}\n\n1 2\n{EIGHT} 9\nno\n")
    assert [text for text, _label in found.rows] == [EIGHT, f"{EIGHT} 9"]
    assert [fault.partition(": ")[0] for fault in found.faults] == ["Line 3", "Line 5"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f'label,window\nup,{EIGHT}\n,"8,7,6,5,4,3,2,1"\n'),
        ("a.csv", "label,window\nup,1,2,3,4,5,6,7,8\n,8,7,6,5,4,3,2,1,\n"),
        ("a.csv", "label,a,b,c,d,e,f,g,h,i\nup,1,2,3,4,5,6,7,8,\n,8,7,6,5,4,3,2,1,\n"),
        ("a.csv", "class;a;b;c;d;e;f;g;h\nup;1,0;2;3;4;5;6;7;8\n;8;7;6;5;4;3;2;1\n"),
        ("a.tsv", "a\tb\tc\td\te\tf\tg\th\tLabel\n1\t2\t3\t4\t5\t6\t7\t8\tup\n8\t7\t6\t5\t4\t3\t2\t1\t\n"),
        ("a.jsonl", '{"label": "up", "values": [1,2,3,4,5,6,7,8]}\n\n[8,7,6,5,4,3,2,1]\n'),
        ("a.jsonl", f'{{"Label": "up", "text": "{EIGHT}"}}\n{{"window": "8;7;6;5;4;3;2;1", "label": null}}\n'),
    ],
)  # fmt: skip
def test_tables_of_many_forms_hold_the_same_windows(name: str, content: str) -> None:
    found = windows.table(content.encode(), name=name, most=10)
    assert (found.rows, found.faults) == ([(EIGHT, "up"), ("8 7 6 5 4 3 2 1", "")], [])


def test_a_table_loses_only_what_cannot_be_read() -> None:
    found = windows.table(f"label,window\na,{EIGHT}\nb,1 2\n".encode(), name="a.csv", most=10)
    assert (found.rows, found.faults) == ([(EIGHT, "a")], ["Line 3: it has 2 values; a window has at least 8"])
    found = windows.table(
        f'{{"label": "a", "values": {json.dumps([1] * 8)}}}\n{{\n[NaN]\n'.encode(), name="a.jsonl", most=9
    )
    assert (len(found.rows), found.faults[0]) == (1, "Line 2: it is no JSON with a window as a list of numbers")
    for content, reason in (
        ("1,2,3\n4,5,6\n", "The first line has to name the columns: label, and window or one for each value."),
        ("", "The first line has to name the columns: label, and window or one for each value."),
        (f"label,window\n{f'a,{EIGHT}' + chr(10)}" + f"a,{EIGHT}\n" * 10, "The file has more than 10 rows. Split it."),
    ):
        with pytest.raises(UnreadableFile) as told:
            windows.table(content.encode(), name="a.csv", most=10)
        assert str(told.value) == reason


def test_a_small_line_has_the_highest_at_the_top_and_what_is_constant_in_the_middle() -> None:
    assert windows.spark("0 1 0 1 0 1 0 2", width=70, height=28).split()[-2:] == ["60.0,26.0", "70.0,2.0"]
    assert {point.partition(",")[2] for point in windows.spark("3 " * 8).split()} == {"14.0"}
    assert len(windows.spark("1 2 " * 200).split()) == 48
    assert "nan" not in windows.spark("0 1e-320 " * 4) and "nan" not in windows.spark("-1e30 1e30 " * 4)


pages = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def rising(seed: int, step: float) -> str:
    return " ".join(f"{at * step + (at * 7 + seed) % 3}" for at in range(12))


def with_pages(test: Any) -> Any:
    for mark in pages:
        test = mark(test)
    return test


@with_pages
def test_from_lines_of_numbers_to_an_answer(owner: User, member: User, stranger: User, teacher: LessonWorker) -> None:
    client = browser(owner)
    client.post(url("create"), {"name": "Pump", "reads": "windows", "labels": "up\ndown"})
    made = Classifier.objects.get()
    page = client.get(url("page", made.pk)).content.decode()
    assert "Windows, a line of numbers each" in page and "Add texts" not in page
    for name, step in (("up", 5), ("down", -5)):
        rows = "\n".join(rising(seed, step) for seed in range(3))
        page = add(client, made, f"{rows}\n1 2\n", label_of(made, name).pk)
        assert "3 windows are new" in page and "Line 4: it has 2 values; a window has at least 8" in page
    assert made.examples.count() == 6
    page = client.post(url("teach", made.pk), follow=True).content.decode()
    assert "6 of 6 examples, each left out once" in page and "<polyline points=" in page
    assert url("refine", made.pk) not in page  # its base has no adapters
    answer = client.post(url("ask"), {"classifier": made.pk, "text": rising(7, -5)}).content.decode()
    assert answer.index("down") < answer.index("up") and "<polyline" in answer
    for wrong, reason in (("", "Write a line of numbers first."), ("1 2", "it has 2 values; a window has at least 8")):
        told = client.post(url("ask"), {"classifier": made.pk, "text": wrong})
        assert told.status_code == 422 and reason in told.content.decode()
    share(made, owner, member)
    codes = [browser(who).get(url("page", made.pk)).status_code for who in (member, stranger)]
    assert codes == [200, 404]


def add(client: Client, made: Classifier, texts: str, label: int | None = None) -> str:
    sent = {"texts": texts, **({"label": label} if label else {})}
    return client.post(url("add_texts", made.pk), sent, follow=True).content.decode()


@with_pages
def test_a_table_brings_classes_and_what_waits_is_ranked(owner: User, teacher: LessonWorker) -> None:
    made = classifiers.create(owner=owner, name="Pump", reads="windows", labels=["up", "down"])
    client = browser(owner)
    rows = [
        f"{name},{rising(seed, step)}" for name, step in (("up", 5), ("down", -5), ("flat", 0)) for seed in range(2)
    ]
    file = SimpleUploadedFile("a.csv", "\n".join(["label,window", *rows, "up,1 2"]).encode())
    page = client.post(url("add_table", made.pk), {"file": file}, follow=True).content.decode()
    assert "6 windows are new" in page and "Line 8: it has 2 values" in page
    assert [label.name for label in made.labels.all()] == ["up", "down", "flat"]
    client.post(url("teach", made.pk))
    teacher.drain()
    add(client, made, rising(9, 5))
    teacher.drain()
    assert Example.objects.get(label=None).guess == "up"
    assert "Window of 12 values" in client.get(url("page", made.pk)).content.decode()


@with_pages
def test_many_lines_that_cannot_be_read_do_not_bury_the_page(owner: User, teacher: LessonWorker) -> None:
    made = classifiers.create(owner=owner, name="Pump", reads="windows", labels=["up", "down"])
    page = add(browser(owner), made, "no\n" * 9)
    assert "Line 5: " in page and "Line 6: " not in page and "4 more lines cannot be read" in page


@with_pages
def test_windows_are_not_refined(owner: User, teacher: LessonWorker) -> None:
    made = classifiers.create(owner=owner, name="Pump", reads="windows", labels=["up", "down"])
    with pytest.raises(ValueError, match="examples: gradient steps are taken on texts and pictures only"):
        refining.refine(classifier=made, actor=owner)
