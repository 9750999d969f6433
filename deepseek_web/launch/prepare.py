"""What has to happen in Django before a start: one process for all of it, since importing Django costs most.

Answers with one line of JSON on standard output; everything the commands print goes to standard error.
"""

import argparse
import hashlib
import json
import os
import sys
from io import StringIO
from pathlib import Path

from deepseek_web.env import BASE_DIR, VAR_DIR
from deepseek_web.launch.released import unpack


def compile_messages() -> None:
    """Make .mo files from .po files that are newer; needs no gettext on the machine."""
    import polib

    for source in (BASE_DIR / "locale").glob("*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            beside = target.with_suffix(f".{os.getpid()}")  # others may read, or write, at the same time
            polib.pofile(str(source)).save_as_mofile(str(beside))
            beside.replace(target)


def tree_digest(folder: Path) -> str:
    """Changes when a file below `folder` is added, removed or changed."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        status = path.stat()
        found.update(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


def collect_static() -> None:
    """Collect static files when ours or a package's may have changed."""
    from django.conf import settings
    from django.core.management import call_command

    decisive = ("requirements.txt", "deepseek_web/storage.py")
    sources = tree_digest(BASE_DIR / "static") + "".join((BASE_DIR / name).read_text() for name in decisive)
    wanted = hashlib.sha256(f"{sources} {settings.STORAGES['staticfiles']}".encode()).hexdigest()
    stamp = VAR_DIR / "run" / "static"
    if stamp.exists() and stamp.read_text() == wanted and Path(settings.STATIC_ROOT).exists():
        return
    call_command("collectstatic", interactive=False, clear=True, verbosity=0, stdout=sys.stderr)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)


def prepare(artifact: Path | None, name: str, title: str) -> dict[str, str]:
    import django
    from django.core.management import call_command

    compile_messages()
    django.setup()
    call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
    collect_static()
    if artifact is not None:
        call_command("register_model", artifact=artifact, name=name, title=title, stdout=sys.stderr)
        for folder, own_name, own_title in unpack(artifact.parent):
            call_command("register_model", artifact=folder, name=own_name, title=own_title, stdout=sys.stderr)
    from apps.serving.reconcile import reconcile

    reconcile()  # an empty Redis learns again what should run
    said = StringIO()
    call_command("create_admin", if_none=True, stdout=said)  # last: its password is told once
    call_command("create_demo_plant", if_none=True, stdout=sys.stderr)  # but for what belongs to somebody
    return {"administrator": said.getvalue().strip()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--name", default="")
    parser.add_argument("--title", default="")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deepseek_web.settings")
    from django.core.management import CommandError
    from django.db import OperationalError

    from deepseek_web.env import EnvError

    try:
        answer = prepare(options.artifact, options.name, options.title)
    except OperationalError as error:
        answer = {"error": f"The database cannot be used: {str(error).strip()}"}
    except (CommandError, EnvError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main())
