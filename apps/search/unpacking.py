"""Archives to items, a few entries a turn: an archive waits between its turns as a file does."""

from django.core.files.base import ContentFile
from django.db import transaction

from apps.search import archives
from apps.search.models import UploadItem

State = UploadItem.State
_ENTRIES = 32  # unpacked at a time


def unpack(item: UploadItem) -> None:
    """The next entries become items of their own; the archive waits for its next turn, or is done. Raises
    UnreadableArchive, FileNotFoundError."""
    assert item.position is not None
    made: list[UploadItem] = []
    with item.file.open("rb") as file, archives.open_archive(file) as archive:
        following = item.position
        for place, name, content in archives.entries(archive, item.position):
            made.append(_entry(item, name, content))
            following = place + 1
            if len(made) == _ENTRIES:
                break
    try:
        with transaction.atomic():
            mine = UploadItem.objects.filter(pk=item.pk, state=State.READING, position=item.position)
            if len(made) == _ENTRIES:
                moved = mine.update(state=State.WAITING, position=following, attempts=0)
            elif item.position == 0 and not made:
                raise archives.UnreadableArchive("The archive has no files in it.")
            else:
                moved = mine.update(state=State.DONE, file="")
            if moved:
                UploadItem.objects.bulk_create(made)
    except BaseException:
        for one in made:
            if one.file:
                one.file.delete(save=False)
        raise
    if len(made) < _ENTRIES:
        item.file.delete(save=False)


def _entry(item: UploadItem, name: str, content: bytes | str) -> UploadItem:
    if isinstance(content, str):
        return UploadItem(upload=item.upload, name=name, state=State.FAILED, error=content)
    one = UploadItem(upload=item.upload, name=name)
    one.file.save("picture", ContentFile(content), save=False)
    return one
