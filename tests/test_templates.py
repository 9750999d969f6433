"""What can be known of templates, scripts and messages without a browser."""

import re
from pathlib import Path

import polib
import pytest
from django.contrib.staticfiles import finders
from django.template.loader import get_template

from apps.chat.strings import STRINGS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static/js").rglob("*.js"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "templates").as_posix()


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_compiles(path):
    get_template(name_of(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_has_nothing_inline(path):
    text = path.read_text(encoding="utf8")
    assert not re.findall(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\bsrc=)|javascript:|hx-on", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_names_static_files_that_exist(path):
    names = re.findall(r"""{% static ['"]([^'"]+)['"]""", path.read_text(encoding="utf8"))
    assert [name for name in names if finders.find(name) is None] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_says_nothing_that_is_not_translated(path):
    """Text between tags stands in a translation tag, apart from names and signs."""
    text = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", "", path.read_text(encoding="utf8"), flags=re.DOTALL)
    text = re.sub(r"{% block (body_class|body_attributes|app_class|main_class) %}.*?{% endblock %}", "", text)
    text = re.sub(r"{[%{#].*?[%}#]}", "", text)
    text = re.sub(r"<(kbd|script|title)[^>]*>.*?</\1>|<[^>]*>", "\n", text, flags=re.DOTALL)
    words = set(re.findall(r"[A-Za-z]{2,}[A-Za-z ]*", text)) - {"DeepSeek Web", "Markdown", "JSON", "Python", "curl"}
    assert words == set()


def test_icons_that_are_used_exist():
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/icons.svg").read_text()))
    used = {name for path in TEMPLATES for name in re.findall(r"{% icon ['\"]([^'\"]+)", path.read_text())}
    used |= {name for path in SCRIPTS for name in re.findall(r"\bicon\(\"([^\"]+)", path.read_text())}
    assert used <= sprite


def test_strings_of_the_scripts_are_all_there_and_all_used():
    text = "\n".join(path.read_text() for path in SCRIPTS)
    said = set(re.findall(r'say\("([a-z_]+)"', text))
    assert said == {name for name in STRINGS if not name.startswith("error_") or name == "error_internal"}


def test_scripts_import_files_that_exist():
    for path in SCRIPTS:
        for target in re.findall(r"""(?:from|import)\s*\(?["'](\.[^"']+)["']""", path.read_text()):
            assert (path.parent / target).resolve().is_file(), f"{path}: {target}"


def test_preloaded_modules_are_all_that_the_chat_loads():
    page = (ROOT / "templates/chat/chat.html").read_text()
    listed = re.search(r'"([^"]+)"\|split', page)
    assert listed
    preloaded = {f"js/{name}.js" for name in listed[1].split(",")} | set(re.findall(r"modulepreload.*?'(.+?)'", page))
    assert loaded_by("js/chat.js", "js/frame.js") - {"js/chat.js", "js/frame.js"} == preloaded


def loaded_by(*names: str) -> set[str]:
    """Static files that these modules import, however far away; not those that are imported later on demand."""
    seen: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        path = ROOT / "static" / name
        if "vendor" in name:
            continue
        imports = re.findall(r"""(?:from|import)\s*["'](\.[^"']+)["'];""", path.read_text())
        queue += [(path.parent / target).resolve().relative_to(ROOT / "static").as_posix() for target in imports]
    return seen


def test_chinese_is_complete():
    catalogue = polib.pofile(str(ROOT / "locale/zh_Hans/LC_MESSAGES/django.po"))
    open_entries = [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy]
    assert open_entries == []


def test_chinese_keeps_the_placeholders():
    catalogue = polib.pofile(str(ROOT / "locale/zh_Hans/LC_MESSAGES/django.po"))
    holes = re.compile(r"%\(\w+\)s|{\w+}")
    for entry in catalogue:
        translation = entry.msgstr or entry.msgstr_plural[0]
        assert sorted(holes.findall(entry.msgid)) == sorted(holes.findall(translation)), entry.msgid


def test_every_string_of_the_templates_is_in_the_catalogue():
    catalogue = {entry.msgid for entry in polib.pofile(str(ROOT / "locale/zh_Hans/LC_MESSAGES/django.po"))}
    used = {
        text
        for path in TEMPLATES
        for _quote, text in re.findall(r"""{% translate (["'])(.*?)\1""", path.read_text(encoding="utf8"))
    }
    assert used - catalogue == set()
