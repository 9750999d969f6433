"""Whatever a worker or a service can say has a translation, and is recognised with its values in it."""

import re
from pathlib import Path

import polib
import pytest
from django.utils import translation

from apps.serving import sentences as shown_by
from apps.serving.sentence_list import SENTENCES
from apps.serving.sentences import translated
from tests.apps.serving.said import sentences

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PLACES = ("workers", "apps/serving", "apps/jobs", "apps/registry/artifacts.py", "apps/classify/permissions.py",
          "apps/anomaly", "apps/teach",
          "contracts/artifacts.py", "contracts/messages.py", "contracts/conversations.py",
          "contracts/adaptation.py", "contracts/clips.py",
          "apps/files/clips.py", "apps/files/clip_decoder.py")  # fmt: skip
# Two releases that disagree about a field: told to programmers.
NOT_FOR_PEOPLE = {"#0 does not know #2"}
# `field: whatever another sentence says`
ONLY_VALUES = re.compile(r"[\w.\[\]#]*#?\d*: #\d+")


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As it is written; nothing has to be compiled first."""
    found = {one.msgid: one.msgstr for one in polib.pofile(str(ROOT / "locale/zh_Hans/LC_MESSAGES/django.po"))}
    monkeypatch.setattr(shown_by, "gettext", lambda template: found.get(template, template))
    return found


def said() -> dict[str, str]:
    files = [
        path for place in PLACES for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ]
    found = {text: f"{path.relative_to(ROOT)}:{line}" for path in files for line, text in sentences(path)}
    return {
        text: where for text, where in found.items() if text not in NOT_FOR_PEOPLE and not ONLY_VALUES.fullmatch(text)
    }


def test_everything_that_can_be_said_is_translated() -> None:
    texts = said()
    assert len(texts) > 150  # the sources are really read
    with translation.override("zh-hans"):
        shown = {text: translated(text) for text in texts}
    assert [f"{texts[text]}: {text}" for text, ours in shown.items() if not re.search("[\u4e00-\u9fff]", ours)] == []
    lost = [text for text, ours in shown.items() if set(re.findall(r"#\d", text)) != set(re.findall(r"#\d", ours))]
    assert lost == []


def test_every_template_is_in_the_catalogue_with_all_its_values(catalogue: dict[str, str]) -> None:
    values = re.compile(r"\{\w+\}")
    wrong = [one for one in SENTENCES if sorted(values.findall(one)) != sorted(values.findall(catalogue.get(one, "")))]
    assert (wrong, len(set(SENTENCES))) == ([], len(SENTENCES))


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("All workers are busy and their queue is full.", "所有工作节点都在忙，队列已满。"),
        ("No worker is ready to answer. needs 5.1 GB, 3.8 GB free on gpu-02",
         "没有就绪的工作节点。需要 5.1 GB，gpu-02 上空闲 3.8 GB"),
        ("BackendError: model.onnx could not be loaded: [E:2] no such file",
         "BackendError: 无法加载 model.onnx：[E:2] no such file"),
        ("temperature: must be between 0 and 2, got 3", "temperature: 必须在 0 和 2 之间，而不是 3"),
        ("a.json is damaged: it holds no object. Copy it again.", "a.json 已损坏：不含对象。请重新复制。"),
        ("Something that nobody has foreseen", "Something that nobody has foreseen"),
        ("", ""),
    ],
)  # fmt: skip
def test_sentences_are_recognised_with_their_values(sentence: str, shown: str) -> None:
    with translation.override("zh-hans"):
        assert translated(sentence) == shown
    with translation.override("en"):
        assert translated(sentence) == sentence
