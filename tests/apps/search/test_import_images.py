"""A folder of the server into a collection."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import User
from apps.search.models import Collection, Picture
from tests.apps.search.conftest import ColourWorker, png

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_a_folder_is_imported_once(owner: User, seer: ColourWorker, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "red.png").write_bytes(png("red"))
    (tmp_path / "in" / "deep" / "blue.png").write_bytes(png("blue"))
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    for _ in range(2):
        call_command("import_images", tmp_path / "in", owner=owner.email, collection="Ours", model="colours")
        seer.drain()
    assert sorted(Picture.objects.values_list("name", flat=True)) == ["blue.png", "red.png"]
    assert Collection.objects.get().uploads.count() == 2


def test_what_is_missing_is_told(owner: User, tmp_path: Path) -> None:
    for values in (
        {"folder": tmp_path / "nowhere", "owner": owner.email},
        {"folder": tmp_path, "owner": "nobody@example.com"},
        {"folder": tmp_path, "owner": owner.email},
    ):
        with pytest.raises(CommandError):
            call_command("import_images", values["folder"], owner=values["owner"], collection="Ours", model="absent")
