"""A first collection to look at: emoji and the photos that come with scikit-image, out of packages that are on this
machine. None of it lies in the repository, so what is not there is named with where it comes from."""

import json
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.search import collections, sending, uploads
from apps.search.models import Collection
from contracts import names

EMOJI, PHOTOS = "emoji", "photos"
_EMOJI_PACKAGE = "emoji-datasource-twitter-16.0.0"
_PIXELS = 64  # the size of theirs that is taken
# Files of scikit-image whose licence its documentation states, what is on them, and whose they are.
_PHOTOS = {
    "astronaut.png": ("astronaut", "NASA, public domain"),
    "brick.png": ("brick wall", "CC0Textures, CC0"),
    "camera.png": ("man with a camera", "Lav Varshney, CC0"),
    "cell.png": ("cell under a microscope", "CC0"),
    "chelsea.png": ("cat", "Stefan van der Walt, CC0"),
    "clock_motion.png": ("clock, blurred by motion", "Stefan van der Walt, public domain"),
    "coffee.png": ("cup of coffee", "Rachel Michetti, CC0"),
    "coins.png": ("Greek coins", "Brooklyn Museum, no known restrictions"),
    "grass.png": ("grass", "CC0"),
    "gravel.png": ("gravel", "CC0Textures, CC0"),
    "horse.png": ("silhouette of a horse", "Andreas Preuss, CC0"),
    "hubble_deep_field.jpg": ("galaxies, Hubble deep field", "NASA, public domain"),
    "ihc.png": ("stained tissue", "no known restrictions"),
    "microaneurysms.png": ("vessels of an eye", "Andreas Maier, CC0"),
    "retina.jpg": ("retina", "CC0"),
    "rocket.jpg": ("rocket on its pad", "SpaceX, public domain"),
    "text.png": ("handwriting on lined paper", "public domain"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What a demo collection may be made of. `missing` says what to do when it is not here."""

    key: str
    title: str
    licence: str
    missing: str = ""


def sources() -> list[Source]:
    package = _emoji_package()
    emoji = "" if package.is_file() else _("%(file)s is not there: npm pack %(package)s puts it there.") % {
        "file": f"DATA_DIR/emoji/{package.name}", "package": _EMOJI_PACKAGE.replace("-16", "@16"),
    }  # fmt: skip
    photos = "" if _photos() else _("scikit-image is not installed: pip install scikit-image brings them.")
    return [
        Source(EMOJI, _("About 1,900 emoji"), _("Pictures by Twitter, CC-BY-4.0"), emoji),
        Source(PHOTOS, _("%(n)s photos of scikit-image") % {"n": len(_PHOTOS)}, _("CC0 or public domain"), photos),
    ]


@transaction.atomic
def create(*, owner: User, deployment: str, keys: list[str]) -> Collection:
    """A collection of those sources, which worker-app fills. Raises what collections.create raises, and
    ValueError(`sources: reason`)."""
    there = {one.key for one in sources() if not one.missing}
    wanted = [key for key in (EMOJI, PHOTOS) if key in keys]
    if not wanted or not there.issuperset(wanted):
        raise ValueError(_("sources: choose what is there"))
    made = collections.create(owner=owner, name=_("Demo"), deployment=deployment, about=_about(wanted))
    transaction.on_commit(lambda: sending.send(names.FILL_DEMO_TASK, str(made.pk), wanted))
    return made


def fill(*, collection: Collection, keys: list[str]) -> None:
    """Hand everything in as one archive: from there on it is an upload like any other, and can be dismissed or retried.
    Twice adds nothing."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in _files(keys):
                archive.writestr(name, content)
        file.seek(0)
        uploads.receive(upload=uploads.begin(collection=collection), files=[File(file, name="demo.zip")])


def _files(keys: list[str]) -> Iterator[tuple[str, bytes]]:
    if PHOTOS in keys and (folder := _photos()):
        for name, (title, _whose) in _PHOTOS.items():
            yield f"{title}.{name.rpartition('.')[2]}", (folder / name).read_bytes()
    if EMOJI in keys:
        yield from _emoji()


def _emoji() -> Iterator[tuple[str, bytes]]:
    """Named as Unicode names them. One pass over the package: a compressed one cannot be jumped in."""
    prefix, found, rows = f"package/img/twitter/{_PIXELS}/", {}, []
    with tarfile.open(_emoji_package()) as package:
        for member in package:
            if member.name.startswith(prefix) or member.name == "package/emoji.json":
                file = package.extractfile(member)
                content = file.read() if file else b""
                if member.name.startswith(prefix):
                    found[member.name.removeprefix(prefix)] = content
                else:
                    rows = json.loads(content)
    for row in rows:
        if content := found.get(row["image"]):
            yield f"{row['name'] or row['short_name']}.png".lower().replace("/", " "), content


def _emoji_package() -> Path:
    return Path(settings.DATA_DIR) / "emoji" / f"{_EMOJI_PACKAGE}.tgz"


def _photos() -> Path | None:
    """The folder of scikit-image's own files, when it has them all. Nothing of the package is run."""
    spec = find_spec("skimage")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else None
    return folder if folder and all((folder / name).is_file() for name in _PHOTOS) else None


def _about(keys: list[str]) -> str:
    said = []
    if EMOJI in keys:
        said.append(f"Emoji: Twitter, CC-BY-4.0 ({_EMOJI_PACKAGE.replace('-16', ' 16')}).")
    if PHOTOS in keys:
        said.append(
            "Photos of scikit-image: " + "; ".join(f"{title}, {whose}" for title, whose in _PHOTOS.values()) + "."
        )
    return " ".join(said)
