"""docs/ says what the code says: settings, commands, endpoints, metrics, sockets, figures, and the files it names."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.utils.translation import override

from apps.accounts.models import Scope
from apps.anomaly import consumers as of_assets
from apps.api.document import document
from apps.serving import consumers, metrics, stats
from contracts.messages import Event, Outcome, RevisionReport, WorkerLease
from deepseek_web.launch.procfile import processes
from workers.engine.meter import EncoderStats

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

# Read by the code, set by nobody who runs the application.
NOT_SETTINGS = {
    "ARROW_DEFAULT_MEMORY_POOL", "DJANGO_SETTINGS_MODULE", "LOCAL_RANK", "OMP_NUM_THREADS", "PATH", "PYTHONPATH",
    "PIPE", "PYTHONWARNINGS", "SUPERVISOR_PROCESS_NAME", "TORCHELASTIC_RESTART_COUNT",
}  # fmt: skip


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf8")


def rows(text: str) -> Iterator[list[str]]:
    """Cells of every row of every table, without heads."""
    for line in text.splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- settings


def read_variables() -> dict[str, set[str | None]]:
    """Every variable that the code reads, with the defaults that are written where it is read."""
    found: dict[str, set[str | None]] = {}
    for folder in ("deepseek_web", "apps", "workers", "contracts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
                if isinstance(node, ast.Call) and (name := _name(node)):
                    found.setdefault(name, set()).add(_default(node))
                elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                    found.setdefault(ast.unparse(node.slice).strip("'"), set())
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "Procfile").read_text()):
        found.setdefault(name, set()).add(default)
    return found


def _name(call: ast.Call) -> str:
    function, by = call.func, ""
    if isinstance(function, ast.Name) and function.id in ("env", "env_bool", "env_int", "env_list"):
        by = function.id
    elif isinstance(function, ast.Attribute) and ast.unparse(function.value) == "os.environ":
        by = function.attr
    return str(call.args[0].value) if by and call.args and isinstance(call.args[0], ast.Constant) else ""


def _default(call: ast.Call) -> str | None:
    """As the page writes it; None where nothing simple stands there."""
    given = [*call.args[1:], *(one.value for one in call.keywords)]
    if isinstance(call.func, ast.Name) and call.func.id == "env_bool":
        return str(int(bool(given and ast.literal_eval(given[0]))))
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) and given[0].value else None


def test_settings_are_those_that_the_code_reads() -> None:
    told = {name: codes(cells[1]) for cells in rows(page("reference/settings.md")) for name in codes(cells[0])}
    read = read_variables()
    assert set(told) == set(read) - NOT_SETTINGS
    simple = {name: {one for one in defaults if one is not None} for name, defaults in read.items()}
    wrong = {
        name: (told[name], simple[name])
        for name in told
        if simple[name] and simple[name] != {"var"} and not set(told[name]) & simple[name]
    }
    assert wrong == {}
    computed = {name for name, default in told.items() if default and not simple[name]}
    assert computed == {"ARTIFACTS_DIR", "ARTIFACT_CACHE", "ARTIFACT_CACHE_GB", "IMPORT_ROOTS", "PROCESS_NAME", "VAR"}


def test_settings_of_the_readme_are_on_the_page() -> None:
    told = {name for cells in rows(page("reference/settings.md")) for name in codes(cells[0])}
    part = (ROOT / "README.md").read_text().partition("## Configuration")[2].partition("\n## ")[0]
    assert {name for cells in rows(part) for name in codes(cells[0])} <= told


# --- commands


def test_make_targets() -> None:
    told = {cells[0].strip("`") for cells in rows(page("reference/commands.md")) if cells[0].startswith("`make ")}
    there = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert told == {f"make {name}" for name in there}


def test_management_commands_with_their_arguments() -> None:
    ours = {name: app for name, app in get_commands().items() if str(app).startswith("apps.")}
    part = page("reference/commands.md").partition("## manage.py")[2].partition("\n## ")[0]
    told = {codes(cells[0])[0]: codes(cells[1]) for cells in rows(part) if codes(cells[0])}
    assert told.keys() == ours.keys()
    for name, app in ours.items():
        parser = load_command_class(str(app), name).create_parser("manage.py", name)
        base = load_command_class("django.core", "check").create_parser("manage.py", "check")
        known = {option for action in base._actions for option in action.option_strings} | {"--skip-checks"}
        own = {
            action.option_strings[-1] if action.option_strings else action.dest.upper()
            for action in parser._actions
            if not set(action.option_strings) & known
        }
        assert set(told[name]) == own, name


def test_processes() -> None:
    part = page("reference/commands.md").partition("## Processes")[2]
    assert [codes(cells[0])[0] for cells in rows(part) if codes(cells[0])] == list(processes())


def test_scopes_are_named() -> None:
    told = page("how-to/teams-and-keys.md").partition("Scopes: ")[2].partition(".")[0]
    assert codes(told) == list(Scope.values)


# --- interfaces


def test_endpoints_are_those_of_the_document() -> None:
    with override("en"):
        there = {
            f"| {method.upper()} | `{path}` | `{one['security'][0]['key'][0]}` | {one['summary']} |"
            for path, methods in document()["paths"].items()
            for method, one in methods.items()
        }
    told = {line for line in page("reference/endpoints.md").splitlines() if re.match(r"\| [A-Z]+ \|", line)}
    assert (there - told, told - there) == (set(), set())


def test_metrics_are_those_that_are_exported() -> None:
    counters = dict.fromkeys(_engine_counters(), 1.0)
    report = RevisionReport("READY", running=1, slots=1, counters=counters)
    devices = [{"name": "A10", "memory_total": 2, "memory_free": 1}]
    lease = WorkerLease("w", "h", 1, 1e12, {"a@1": report}, memory_total=1, devices=devices)
    times = dict.fromkeys(("latency", "queue", "first", "inter"), 0.1)
    reading = metrics.Reading({"a@1": Counter(stats.measured(times=times, prompt_tokens=1))}, [lease], {"a@1": 1})
    kinds = re.findall(r"^# TYPE (deepseek_\S+) (\S+)", metrics.render(reading).decode(), re.MULTILINE)
    told = {codes(cells[0])[0]: cells[1] for cells in rows(page("reference/metrics.md")) if codes(cells[0])}
    engine = {name for name in told if name.startswith("deepseek_engine_")}
    assert engine == {f"deepseek_engine_{name}_total" for name in counters}
    assert {name: kind for name, kind in told.items() if name not in engine} == {
        name: kind for name, kind in kinds if not name.startswith("deepseek_engine_")
    }


def _engine_counters() -> set[str]:
    """What both engines count (workers/loaded.py). Of one the source is read: its module loads a model's libraries."""
    source = (ROOT / "workers/engine/engine.py").read_text()
    names = re.findall(
        r"^    (\w+): (?:int|float)", source.partition("class EngineStats:")[2].partition("\n\n\n")[0], re.M
    )
    return ({*names, *EncoderStats.__slots__}) - {"running", "waiting", "slots"}


def test_commands_codes_and_bounds_of_the_sockets() -> None:
    text = page("reference/websocket.md")
    (commands, messages) = (part.partition("\n\n| ")[2].partition("\n\n")[0] for part in _after(text))
    assert {codes(cells[0])[0] for cells in rows(commands) if codes(cells[0])} == set(consumers._COMMANDS)
    types = {codes(cells[0])[0] for cells in rows(messages) if codes(cells[0])}
    assert types == _types_of_messages()
    events = text.partition("Events of a stream")[2].partition("\n| bound")[0]
    told = {codes(cells[0])[0]: codes(cells[1]) for cells in rows(events) if codes(cells[0])}
    assert set(told) == set(Event)
    assert told["done"] == list(Outcome.__dataclass_fields__)
    for number in (consumers._MAX_FRAME, consumers._MAX_COMMANDS, consumers._MAX_STREAMS, of_assets._MAX_FRAME):
        assert f"{number:,}" in text
    for code in (value for name, value in {**vars(consumers), **vars(of_assets)}.items() if name.startswith("CLOSE_")):
        assert str(code) in text


def _after(text: str) -> tuple[str, str]:
    return text.partition("Client to server:")[2], text.partition("Server to client, by `type`:")[2]


def _types_of_messages() -> set[str]:
    """What is sent to a tab: by the consumer itself, and through `tell_user`. What closes the socket is not sent."""
    told = {
        "apps/chat/services.py": "conversation",
        "apps/search/indexes.py": "search",
        "apps/console/live.py": "console",
    }
    told |= {"apps/anomaly/deliveries.py": "anomaly", "apps/quotas/soft_limits.py": "quota"}
    told |= {"apps/notices/services.py": "notice"}
    for path, kind in told.items():
        assert re.search(f'type(=|": )"{kind}"', (ROOT / path).read_text()), path
    own = re.findall(r'_send\(\s*type="(\w+)"', (ROOT / "apps/serving/consumers.py").read_text())
    return {*own, *told.values()}


# --- figures


FIGURES = [
    (path.name, cells[1], cells[3].strip("`"))
    for path in PAGES
    for cells in rows(path.read_text(encoding="utf8"))
    if len(cells) == 4 and re.fullmatch(r"`\w+\.json: [\w.]+`", cells[3])
]


@pytest.mark.parametrize(("name", "told", "source"), FIGURES, ids=[f"{name} {source}" for name, _, source in FIGURES])
def test_figures_are_those_of_the_results(name: str, told: str, source: str) -> None:
    file, _, keys = source.partition(": ")
    found: Any = json.loads((ROOT / "benchmarks/results" / file).read_text())
    for key in keys.split("."):
        found = found[key]
    digits = len(told.partition(".")[2])
    assert f"{found:.{digits}f}" == told


def test_there_are_figures() -> None:
    assert {name for name, _, _ in FIGURES} == {"capacity.md", "science.md"}


# --- what pages name


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_files_that_a_page_names_are_there(path: Path) -> None:
    named = set(
        re.findall(
            r"`((?:apps|workers|contracts|deepseek_web|deploy|tests|static|benchmarks)/[\w./-]+)`", path.read_text()
        )
    )
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_tests_that_the_threat_model_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page("threat-model.md"))
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert named and missing == []


def test_chinese_names_are_those_of_the_interface() -> None:
    import polib

    catalogue: dict[str, set[str]] = {}
    for entry in polib.pofile(str(ROOT / "locale/zh_Hans/LC_MESSAGES/django.po")):
        catalogue.setdefault(entry.msgid, set()).add(entry.msgstr)
    names = [(cells[0], cells[1]) for cells in rows(page("zh.md")) if len(cells) == 3][1:]
    assert [(chinese, english) for chinese, english in names if chinese not in catalogue.get(english, set())] == []


# --- the site


def test_every_page_is_in_the_navigation() -> None:
    def names(part: Any) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        else:
            for inner in part.values() if isinstance(part, dict) else part:
                yield from names(inner)

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(names(nav)) == sorted(str(path.relative_to(DOCS)) for path in PAGES)


@pytest.mark.skipif(
    importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed: `make docs`"
)
def test_it_builds_strictly_and_asks_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    for path in tmp_path.rglob("*.html"):
        assert (
            re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*", path.read_text())
            == []
        )
    index = json.loads((tmp_path / "search/search_index.json").read_text())
    assert index["config"]["lang"] == ["en", "zh"]
    assert any("灰度" in one["text"] for one in index["docs"])


def test_what_is_built_is_not_committed() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["site_dir"]
    assert f"{site}/" in (ROOT / ".gitignore").read_text().splitlines()
    assert settings.BASE_DIR == ROOT
