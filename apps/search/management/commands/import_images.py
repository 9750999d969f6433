from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import User
from apps.search import collections, uploads
from apps.search.archives import is_archive
from apps.search.models import Collection
from apps.serving.services import UnknownDeployment

_TOGETHER = 64
_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}


class Command(BaseCommand):
    help = "Put every picture below a folder into a collection. They are read and indexed by worker-app."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--owner", required=True, help="e-mail address")
        parser.add_argument("--collection", required=True, help="name; made when the owner has none of it")
        parser.add_argument("--model", default="", help="deployment, for a collection that is made")

    def handle(self, *args: Any, folder: Path, owner: str, collection: str, model: str, **options: Any) -> None:
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder.")
        person = User.objects.filter(email=owner.lower()).first()
        if person is None:
            raise CommandError(f"There is nobody called {owner}.")
        upload = uploads.begin(collection=self._collection(person, collection, model))
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and _is_picture(path))
        for start in range(0, len(paths), _TOGETHER):
            opened = [File(path.open("rb"), name=path.name) for path in paths[start : start + _TOGETHER]]
            try:
                uploads.receive(upload=upload, files=opened)
            finally:
                for file in opened:
                    file.close()
            self.stdout.write(f"{min(start + _TOGETHER, len(paths))} of {len(paths)} files sent")
        self.stdout.write(f"upload {upload.pk}: its progress is on the collection's page")

    def _collection(self, person: User, name: str, model: str) -> Collection:
        found = Collection.objects.filter(owner=person, name=name).first()
        if found is not None:
            return found
        try:
            return collections.create(owner=person, name=name, deployment=model)
        except (UnknownDeployment, ValueError) as error:
            raise CommandError(str(error)) from error


def _is_picture(path: Path) -> bool:
    return not path.name.startswith(".") and (path.suffix.lower() in _ENDINGS or is_archive(path.name))
