"""Pages: three people, one and thirty rows, and what forms do."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Membership, Role, Team, User
from apps.teach import classifiers, examples
from apps.teach.models import Classifier, Example, Label, Version
from tests.apps.search.conftest import png
from tests.apps.teach.conftest import LessonWorker, label_of, teach

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(name: str, *arguments: Any) -> str:
    return reverse(f"teach:{name}", args=arguments)


def share(classifier: Classifier, *people: User) -> Team:
    team = Team.objects.create(name="Ours")
    for one in people:
        Membership.objects.create(team=team, user=one)
    classifiers.change(classifier=classifier, name=classifier.name, team=team)
    return team


def test_a_stranger_gets_404_and_a_member_looks_and_asks(
    taught: Classifier, owner: User, member: User, stranger: User
) -> None:
    share(taught, owner, member)
    for name in ("page", "live"):
        codes = [browser(who).get(url(name, taught.pk)).status_code for who in (owner, member, stranger)]
        assert codes == [200, 200, 404], name
        assert Client().get(url(name, taught.pk)).status_code == 302
    asked = {"classifier": taught.pk, "text": "red"}
    codes = [browser(who).post(url("ask"), asked).status_code for who in (owner, member, stranger)]
    assert codes == [200, 200, 404]
    for name in ("teach", "change", "withdraw", "add_label", "add_texts", "add_table", "clear", "delete"):
        codes = [browser(who).post(url(name, taught.pk)).status_code for who in (member, stranger)]
        assert codes == [404, 404], name
    label, example, version = Label.objects.first(), Example.objects.first(), Version.objects.get()
    assert label and example
    for name, thing in (
        ("rename_label", label), ("delete_label", label), ("delete_example", example), ("give_label", example),
        ("use", version), ("publish", version),
    ):  # fmt: skip
        codes = [browser(who).post(url(name, thing.pk)).status_code for who in (member, stranger)]
        assert codes == [404, 404], name
    pictures = {"classifier": taught.pk, "files": SimpleUploadedFile("a.png", png("red"))}
    assert [browser(who).post(url("add_pictures"), pictures).status_code for who in (member, stranger)] == [404, 404]
    assert Example.objects.count() == 6 and Label.objects.count() == 2


def test_no_page_tells_an_adapter(taught: Classifier, owner: User) -> None:
    version = Version.objects.get()
    assert version.adapter
    for name in ("page", "live"):
        page = browser(owner).get(url(name, taught.pk)).content.decode()
        assert version.adapter["centres"] not in page and version.adapter["sha256"] not in page


def test_viewers_look_and_do_nothing(taught: Classifier, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(role=Role.VIEWER)
    owner.refresh_from_db()
    page = browser(owner).get(url("page", taught.pk))
    assert page.status_code == 200 and "Add examples" not in page.content.decode()
    assert browser(owner).post(url("ask"), {"classifier": taught.pk, "text": "red"}).status_code == 403
    assert browser(owner).post(url("teach", taught.pk)).status_code == 403


def test_from_names_to_an_answer(owner: User, teacher: LessonWorker) -> None:
    client = browser(owner)
    assert "No classifiers yet" in client.get(url("listing")).content.decode()
    client.post(url("create"), {"name": "Mood", "reads": "texts", "labels": "red\nblue\n\nred\n"})
    made = Classifier.objects.get()
    assert [label.name for label in made.labels.all()] == ["red", "blue"]
    for name in ("red", "blue"):
        client.post(
            url("add_texts", made.pk), {"texts": f"{name}\nthe {name}\n{name} one", "label": label_of(made, name).pk}
        )
    page = client.post(url("teach", made.pk), follow=True).content.decode()
    assert "6 of 6 examples, each left out once" in page and "Version 1 answers here." in page
    answer = client.post(url("ask"), {"classifier": made.pk, "text": "blue blue"}).content.decode()
    assert answer.index("blue") < answer.index("red") and "Distance" in answer
    none = client.post(url("ask"), {"classifier": made.pk, "text": "green purple yellow"}).content.decode()
    assert "None of these" in none
    client.post(url("publish", made.versions.get().pk))
    assert "Version 1 answers keys." in client.get(url("page", made.pk)).content.decode()
    assert "6 / 6" in client.get(url("listing")).content.decode()


def test_what_cannot_be_is_told(taught: Classifier, owner: User) -> None:
    client = browser(owner)
    assert client.post(url("ask"), {"classifier": taught.pk, "text": " "}).status_code == 422
    assert client.post(url("ask"), {"classifier": uuid4(), "text": "a"}).status_code == 404
    page = client.post(url("create"), {"name": "One", "reads": "texts", "labels": "a"}, follow=True).content.decode()
    assert "Name 2 to 20 classes, a line each." in page and Classifier.objects.count() == 1
    other = classifiers.create(owner=owner, name="Other", reads="texts", labels=["a", "b"])
    answer = client.post(url("ask"), {"classifier": other.pk, "text": "a"})
    assert answer.status_code == 422 and "Teach it first." in answer.content.decode()
    strange = {"texts": "a", "label": other.labels.all()[0].pk}
    client.post(url("add_texts", taught.pk), strange)
    assert not Example.objects.filter(text="a").exists()  # a class of another classifier


def test_examples_that_disagree_and_what_waits_are_shown(
    classifier: Classifier, teacher: LessonWorker, owner: User
) -> None:
    examples.add_texts(classifier=classifier, texts=["blue blue blue"], label=label_of(classifier, "red"))
    teach(classifier, teacher)
    client = browser(owner)
    client.post(url("add_texts", classifier.pk), {"texts": "red blue\nred red"})
    teacher.drain()
    page = client.get(url("page", classifier.pk)).content.decode()
    assert "Examples that disagree" in page and "the others tell it as blue" in page
    assert page.index("red blue") < page.index("red red")
    row = Example.objects.get(text="red blue")
    client.post(url("give_label", row.pk), {"label": label_of(classifier, "blue").pk})
    row.refresh_from_db()
    assert row.label == label_of(classifier, "blue")
    client.post(url("clear", classifier.pk))
    assert not Example.objects.filter(label=None).exists()


def test_pictures_are_shown_to_those_who_may_see_them(owner: User, stranger: User, teacher: LessonWorker) -> None:
    made = classifiers.create(owner=owner, name="Pictures", reads="images", labels=["red", "blue"])
    client = browser(owner)
    for name in ("red", "blue"):
        files = [SimpleUploadedFile(f"{name}{n}.png", png(name, size=(40, 20 + n))) for n in range(2)]
        client.post(url("add_pictures"), {"classifier": made.pk, "label": label_of(made, name).pk, "files": files})
    row = Example.objects.filter(label__name="red")[0]
    answer = client.get(url("picture", row.pk))
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox" and answer["Content-Type"] == "image/webp"
    assert browser(stranger).get(url("picture", row.pk)).status_code == 404
    client.post(url("teach", made.pk))
    teacher.drain()
    told = client.post(url("ask"), {"classifier": made.pk, "picture": SimpleUploadedFile("q.png", png("blue"))})
    assert told.content.decode().index("blue") < told.content.decode().index("red")


def test_pages_cost_the_same_with_one_and_with_thirty(taught: Classifier, teacher: LessonWorker, owner: User) -> None:
    client = browser(owner)

    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    addresses = [url("listing"), url("page", taught.pk), url("live", taught.pk)]
    before = [queries(address) for address in addresses]
    for number in range(29):
        classifiers.create(owner=owner, name=f"More {number}", reads="texts", labels=["a", "b"])
    for name in ("red", "blue"):
        more = [f"{name} {number}" for number in range(12)]
        examples.add_texts(classifier=taught, texts=more, label=label_of(taught, name))
    examples.add_texts(classifier=taught, texts=[f"red {number} blue" for number in range(30)], label=None)
    for _ in range(3):
        teach(taught, teacher)
    assert [queries(address) for address in addresses] == before
