"""Texts that pictures are described with: a CSV file of products, captions, whatever fits a picture."""

import csv
import io

from django.db import transaction
from django.utils.translation import gettext as _

from apps.search import indexes, sending
from apps.search.models import CatalogueText, Collection

MOST_ROWS = 50_000
MOST_CHARS = 1000
_TEXTS = ("text", "title", "name", "caption", "description", "product", "文本", "标题", "名称")
_CODES = ("sku", "code", "id", "编号")


def add(*, collection: Collection, content: bytes) -> int:
    """Rows that are new; those that are there stay. Raises ValueError(`file: reason`)."""
    rows = _read(content)
    with transaction.atomic():
        known = set(collection.texts.values_list("code", "text"))
        made = [
            CatalogueText(collection=collection, code=code, text=text)
            for code, text in dict.fromkeys(rows)
            if (code, text) not in known
        ]
        if len(known) + len(made) > MOST_ROWS:
            raise ValueError(_("file: a catalogue has at most %(n)s texts") % {"n": f"{MOST_ROWS:,}"})
        CatalogueText.objects.bulk_create(made, batch_size=1000)
        indexes.expect_texts(collection, made)
        for index in collection.indexes.all():
            transaction.on_commit(lambda index_id=index.pk: sending.ask_to_feed(index_id))  # type: ignore[misc]
    return len(made)


def clear(*, collection: Collection) -> int:
    count: int = collection.texts.count()
    collection.texts.all().delete()
    return count


def _read(content: bytes) -> list[tuple[str, str]]:
    """(code, text) of each row. A table without a first line of names has its texts in the first column."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError as error:
            raise ValueError(_("file: is no text in UTF-8 or GB 18030")) from error
    try:
        rows = [row for row in csv.reader(io.StringIO(text.replace("\0", ""))) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(_("file: cannot be read: %(error)s") % {"error": error}) from error
    if not rows:
        raise ValueError(_("file: has no text in it"))
    head = [cell.strip().lower() for cell in rows[0]]
    text_at = next((head.index(name) for name in _TEXTS if name in head), None)
    code_at = next((head.index(name) for name in _CODES if name in head), None)
    if text_at is None:
        text_at, code_at, body = 0, None, rows
    else:
        body = rows[1:]
    found = [
        (
            row[code_at].strip()[:80] if code_at is not None and code_at < len(row) else "",
            row[text_at].strip()[:MOST_CHARS],
        )
        for row in body
        if text_at < len(row) and row[text_at].strip()
    ]
    if not found:
        raise ValueError(_("file: has no text in it"))
    return found
