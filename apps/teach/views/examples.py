"""What a classifier is taught with: classes, texts, pictures, clips, windows, and labels for what waits for one."""

import functools
import re
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

from django.contrib import messages
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, senders_only
from apps.files import texts
from apps.quotas.refusing import refusable, valid
from apps.teach import examples, teaching, windows
from apps.teach.forms import ClassifierIdForm, ExamplesForm, GivenLabelForm, LabelForm, TableForm, TextsForm
from apps.teach.models import Classifier, Example, Label
from apps.teach.permissions import owned_classifier, owned_example, owned_label, visible_example
from apps.teach.views.doing import REFUSALS, back, tell

# It never changes, so browsers keep it; only they do. Whatever a file holds, it is a picture or a sound.
_HEADERS = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "default-src 'none'; sandbox"}

_RANGE = re.compile(r"bytes=([0-9]{1,9})-([0-9]{0,9})")
_FAULTS = 5  # sentences about lines that cannot be read


def _on_own(owned: Callable[..., Any], act: Callable[[HttpRequest, Any], object]) -> Callable[..., HttpResponse]:
    """A view that does something with what `owned` finds, and goes back to the classifier's page."""

    @senders_only
    @require_POST
    @functools.wraps(act)
    def view(request: HttpRequest, **place: UUID | int) -> HttpResponse:
        found = owned(request.user, *place.values())
        try:
            act(request, found)
        except REFUSALS as error:
            tell(request, error)
        return back(found if isinstance(found, Classifier) else found.classifier)

    return view


def _add_label(request: HttpRequest, found: Classifier) -> None:
    examples.add_label(classifier=found, name=valid(LabelForm(request.POST)).cleaned_data["name"])


def _rename_label(request: HttpRequest, label: Label) -> None:
    examples.rename_label(label=label, name=valid(LabelForm(request.POST)).cleaned_data["name"])


def _delete_label(request: HttpRequest, label: Label) -> None:
    examples.delete_label(label=label)
    messages.success(request, _("%(name)s and its examples are deleted") % {"name": label.name})


def _add_texts(request: HttpRequest, found: Classifier) -> None:
    form = valid(TextsForm(request.POST, classifier=found)).cleaned_data
    read = _read(found, form["texts"])
    if read.rows:
        count = examples.add_texts(classifier=found, texts=[text for text, _name in read.rows], label=form["label"])
        if form["label"] is None:
            teaching.rank(classifier=found)
        messages.success(request, _added(found, count))
    _tell_faults(request, read.faults)


def _add_table(request: HttpRequest, found: Classifier) -> None:
    file = valid(TableForm(request.POST, request.FILES)).cleaned_data["file"]
    content, name = file.read(), str(file.name)
    if found.reads == Classifier.Reads.WINDOWS:
        read = windows.table(content, name=name, most=examples.MOST_ROWS)
    else:
        texts_read = texts.read(content, name=name, most=examples.MOST_ROWS)
        read = windows.Windows([(text, label) for _number, text, label in texts_read.rows])
    if read.rows:
        count = examples.add_table(classifier=found, rows=read.rows)
        teaching.rank(classifier=found)
        messages.success(request, _added(found, count))
    _tell_faults(request, read.faults)


def _read(found: Classifier, text: str) -> windows.Windows:
    if found.reads == Classifier.Reads.WINDOWS:
        return windows.lines(text)
    return windows.Windows([(line, "") for line in text.splitlines()])


def _added(found: Classifier, count: int) -> str:
    if found.reads == Classifier.Reads.WINDOWS:
        return ngettext("%(n)s window is new", "%(n)s windows are new", count) % {"n": count}
    return ngettext("%(n)s text is new", "%(n)s texts are new", count) % {"n": count}


def _tell_faults(request: HttpRequest, faults: list[str]) -> None:
    """The first few by themselves; the others would bury the page."""
    for fault in faults[:_FAULTS]:
        messages.error(request, fault)
    more = len(faults) - _FAULTS
    if more > 0:
        said = ngettext("%(n)s more line cannot be read", "%(n)s more lines cannot be read", more)
        messages.error(request, said % {"n": more})


def _clear(request: HttpRequest, found: Classifier) -> None:
    examples.clear_unlabelled(classifier=found)


def _delete(request: HttpRequest, example: Example) -> None:
    examples.delete(example=example)


def _give_label(request: HttpRequest, example: Example) -> None:
    form = valid(GivenLabelForm(request.POST, classifier=example.classifier))
    examples.give_label(example=example, label=form.cleaned_data["label"])


add_label = _on_own(owned_classifier, _add_label)
rename_label = _on_own(owned_label, _rename_label)
delete_label = _on_own(owned_label, _delete_label)
add_texts = _on_own(owned_classifier, _add_texts)
add_table = _on_own(owned_classifier, _add_table)
clear = _on_own(owned_classifier, _clear)
delete = _on_own(owned_example, _delete)
give_label = _on_own(owned_example, _give_label)


@senders_only
@require_POST
@refusable
def add_files(request: HttpRequest) -> HttpResponse:
    """Pictures or clips, as the classifier reads them. At an address without an id: it takes larger bodies than others
    (deepseek_web/body_limit.py)."""
    found = owned_classifier(request.user, valid(ClassifierIdForm(request.POST)).cleaned_data["classifier"])
    form = valid(ExamplesForm(request.POST, classifier=found)).cleaned_data
    try:
        count = examples.add_files(classifier=found, files=request.FILES.getlist("files"), label=form["label"])
        messages.success(request, _received(found, count))
    except REFUSALS as error:
        tell(request, error)
    return back(found)


def _received(found: Classifier, count: int) -> str:
    if found.reads == Classifier.Reads.CLIPS:
        return ngettext("%(n)s clip is read", "%(n)s clips are read", count) % {"n": count}
    return ngettext("%(n)s picture is read", "%(n)s pictures are read", count) % {"n": count}


@members_only
@require_safe
def picture(request: HttpRequest, example_id: int) -> HttpResponse:
    """The small copy."""
    opened = _opened(visible_example(request.user, example_id).picture)
    return FileResponse(opened, content_type="image/webp", headers=_HEADERS)  # type: ignore[return-value]


@members_only
@require_safe
def clip(request: HttpRequest, example_id: int) -> HttpResponse:
    """What models hear, whole or the part that a player asks for: some play nothing else."""
    with _opened(visible_example(request.user, example_id).clip) as opened:
        content = opened.read()
    headers = {**_HEADERS, "Accept-Ranges": "bytes"}
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None:
        return HttpResponse(content, content_type="audio/wav", headers=headers)
    begin = int(asked[1])
    end = min(int(asked[2] or len(content) - 1), len(content) - 1)
    if begin > end:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{len(content)}"})
    headers |= {"Content-Range": f"bytes {begin}-{end}/{len(content)}"}
    return HttpResponse(content[begin : end + 1], status=206, content_type="audio/wav", headers=headers)


def _opened(name: str) -> File:
    """Raises Http404."""
    try:
        return default_storage.open(name) if name else _none()
    except FileNotFoundError:
        return _none()


def _none() -> NoReturn:
    raise Http404
