"""Names that people, files and models bring are text on every page that shows them."""

from typing import Any

import pytest
from django.db.models import Model as Row

from apps.accounts.models import APIKey, Team, User
from apps.anomaly.models import AlertRule, Asset, Detector, Sensor
from apps.anomaly.models import Upload as ReadingsUpload
from apps.chat.models import Comparison, Conversation, Message, Preset
from apps.classify.models import Batch
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from apps.search.models import Collection, Picture, QueryPicture, SavedSearch, Upload, UploadItem
from apps.teach.models import Classifier, Example, Label, Version
from tests.access.conftest import Person
from tests.access.routes import path
from tests.access.test_headers import PAGES

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

FIELDS: list[tuple[type[Row], str]] = [
    (APIKey, "name"), (AlertRule, "name"), (Asset, "name"), (Batch, "file_name"), (Classifier, "name"),
    (Collection, "name"), (Comparison, "prompt"), (Conversation, "title"), (Detector, "name"), (Example, "text"),
    (Job, "title"), (Label, "name"), (Message, "text"), (Model, "title"), (Model, "licence"), (Picture, "name"),
    (Preset, "name"), (QueryPicture, "name"), (ReadingsUpload, "name"), (SavedSearch, "name"), (Sensor, "name"),
    (Sensor, "unit"), (Team, "name"), (UploadItem, "name"), (User, "name"),
]  # fmt: skip
# The table's classifier is taught with pictures; what was searched with is shown by its small copy.
NOT_SHOWN = {"Example.text", "QueryPicture.name"}


def markup(number: int) -> str:
    return f"<b id=x{number}>'\""


def escaped(number: int) -> str:
    return f"&lt;b id=x{number}&gt;&#x27;&quot;"


def test_names_are_text_on_every_page(people: dict[str, Person], things: dict[str, Any]) -> None:
    UploadItem.objects.create(upload=Upload.objects.get(), name="a", state="failed", error="no")
    for number, (model, field) in enumerate(FIELDS):
        if field == "name" and model in (Label, Team):  # which nobody else may have
            model.objects.filter(pk=model.objects.first().pk).update(name=markup(number))
        else:
            model.objects.update(**{field: markup(number)})
    card = markup(len(FIELDS))
    ModelVersion.objects.update(manifest={"card": card, "source": card, "precision": card, "dimensions": 8})
    Version.objects.update(labels=[[Label.objects.first().pk, markup(0)]])

    shown = ""
    for route in PAGES:
        for name in ("member", "admin"):
            answer = people[name].browser.get(path(route, things), headers=people[name].headers)
            if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
                text = answer.content.decode()
                assert "<b id=x" not in text, route
                shown += text
    fields = [f"{model.__name__}.{field}" for model, field in FIELDS] + ["card"]
    assert {field for number, field in enumerate(fields) if escaped(number) not in shown} == NOT_SHOWN
