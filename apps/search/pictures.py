"""Verbs on pictures that are there."""

from collections.abc import Iterable

from django.db import transaction

from apps.search.models import Picture


@transaction.atomic
def delete(*, pictures: Iterable[Picture]) -> int:
    """With their files, vectors and bytes (stored.py); returns how many."""
    ids = [picture.pk for picture in pictures]
    for picture in Picture.objects.filter(pk__in=ids):
        picture.delete()
    return len(ids)


@transaction.atomic
def describe(*, picture: Picture, tags: Iterable[str] | None = None, caption: str | None = None) -> Picture:
    """What is given is set."""
    if tags is not None:
        picture.tags = list(dict.fromkeys(one.strip()[:40] for one in tags if one.strip()))[:32]
    if caption is not None:
        picture.caption = caption.strip()[:1000]
    picture.save(update_fields=["tags", "caption"])
    return picture


@transaction.atomic
def tag(*, pictures: Iterable[Picture], name: str) -> int:
    """Add a tag to each; returns to how many it was new."""
    changed = [one for one in pictures if name not in one.tags]
    for picture in changed:
        describe(picture=picture, tags=[*picture.tags, name])
    return len(changed)
