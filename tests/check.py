"""`make check`: everything that can be said about the code without running its tests."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from deepseek_web.launch.embedded import embedded

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("zh_Hans",)
# Where a wrong type is dear; pyproject.toml makes these strict.
TYPED = ("contracts", "deepseek_web", "workers/engine", "workers/backends")
TYPED_MODULES = ("services", "queries", "permissions", "keys")
# What makemessages reads; copied, because it writes.
SOURCES = ("apps", "deepseek_web", "templates", "locale", "static/js")


def command(*arguments: str, **environment: str) -> Callable[[], bool]:
    def run() -> bool:
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=ROOT, env={**os.environ, **environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode:
            print(done.stdout, end="")
        return done.returncode == 0

    return run


def django(*arguments: str, **environment: str) -> Callable[[], bool]:
    return command("django", *arguments, DJANGO_SETTINGS_MODULE="deepseek_web.settings", **environment)


def lint_imports() -> bool:
    """import-linter has no `python -m`."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout)
    return done.returncode == 0


def templates_compile() -> bool:
    """Every template can be parsed, also one that no test renders."""
    import django
    from django.template import TemplateSyntaxError, engines

    django.setup()
    names = [str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.*")]
    good = True
    for name in sorted(names):
        try:
            engines["django"].get_template(name)
        except (TemplateSyntaxError, UnicodeDecodeError) as error:
            print(f"templates/{name}: {error}")
            good = False
    return good


def messages_complete() -> bool:
    """Every text of the code and the templates has a translation that somebody looked at."""
    if shutil.which("xgettext") is None:
        print("xgettext is missing: not checked (Debian: apt install gettext)")
        return os.environ.get("REQUIRE_GETTEXT") != "1"
    with tempfile.TemporaryDirectory() as folder:
        for source in SOURCES:
            if (ROOT / source).exists():
                shutil.copytree(ROOT / source, Path(folder) / source)
        complete = [catalogue_complete(Path(folder), language) for language in LANGUAGES]
        return all(complete)


def catalogue_complete(copy: Path, language: str) -> bool:
    """Compare the catalogue with what makemessages finds; both must say the same."""
    import polib

    make = [sys.executable, "-m", "django", "makemessages", "--no-obsolete", "--locale", language]
    # Without settings: the copy is no whole project.
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    made = subprocess.run(make, cwd=copy, env=environment, text=True, capture_output=True)
    if made.returncode:
        print(made.stderr)
        return False
    path = f"locale/{language}/LC_MESSAGES/django.po"
    ours = {(entry.msgctxt, entry.msgid) for entry in polib.pofile(str(ROOT / path)) if not entry.obsolete}
    open_points = []
    for entry in polib.pofile(str(copy / path)):
        if (entry.msgctxt, entry.msgid) not in ours:
            open_points.append(f"missing: {entry.msgid!r}")
        elif entry.fuzzy or not entry.translated():
            open_points.append(f"{'fuzzy' if entry.fuzzy else 'untranslated'}: {entry.msgid!r}")
    for point in open_points:
        print(f"{path}: {point}")
    return not open_points


def typed_modules() -> list[str]:
    return [str(path.relative_to(ROOT)) for name in TYPED_MODULES for path in ROOT.glob(f"apps/*/{name}.py")]


CHECKS: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("ruff check", command("ruff", "check", "--quiet", ".")),
    ("ruff format", command("ruff", "format", "--check", "--quiet", ".")),
    ("import law", lint_imports),
    ("types", command("mypy", *TYPED, *typed_modules())),
    ("migrations", django("makemigrations", "--check", "--dry-run")),
    ("deployment", django("check", "--deploy", "--fail-level", "WARNING", HTTPS="1")),
    ("templates", templates_compile),
    ("messages", messages_complete),
)


def main() -> int:
    failed = []
    with embedded() as servers:
        os.environ.update(servers.environment(), DJANGO_SETTINGS_MODULE="deepseek_web.settings")
        for name, check in CHECKS:
            good = check()
            print(f"{name}: {'ok' if good else 'FAILED'}", flush=True)
            failed += [] if good else [name]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
