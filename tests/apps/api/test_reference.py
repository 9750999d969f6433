"""The reference page, made from the document."""

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.api.document import document
from apps.api.reference import Operation, sections

pytestmark = pytest.mark.django_db


def operation(name: str) -> Operation:
    return next(one for section in sections() for one in section.operations if one.id == name)


def test_every_operation_is_on_the_page(client: Client, owner: User) -> None:
    client.force_login(owner)
    page = client.get("/api/docs/").content.decode()
    names = [one["operationId"] for methods in document()["paths"].values() for one in methods.values()]
    assert [name for name in names if f'id="{name}"' not in page] == []


def test_words_narrow_it(client: Client, owner: User) -> None:
    client.force_login(owner)
    page = client.get("/api/docs/?q=preset delete").content.decode()
    assert 'id="delete_preset"' in page
    assert 'id="save_preset"' not in page
    assert "No operation has all these words" in client.get("/api/docs/?q=%3Cb%3E").content.decode()


def test_fields_tell_their_form_and_bounds() -> None:
    fields = {field.name: field for field in operation("create_comparison").body}
    lane = fields["lanes[].parameters.temperature"]
    assert (lane.kind, lane.limits, lane.is_required) == ("number or null", "≥ 0, ≤ 2", False)
    assert (fields["lanes"].kind, fields["lanes"].limits) == ("list of object", "at least 2, at most 2")
    assert fields["prompt"].is_required


def test_examples_are_what_the_operation_takes() -> None:
    assert operation("create_conversation").curl == (
        "curl -X POST /api/v1/conversations \\\n"
        '  -H "Authorization: Bearer $KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"model": "smollm2-360m"}'"""
    )
    for section in sections():
        for one in section.operations:
            compile(one.python, one.id, "exec")
