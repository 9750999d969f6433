"""The settings that a start chooses, and `VAR/env`, through which other shells find them."""

import os
import secrets
import sys
from pathlib import Path

from deepseek_web.env import BASE_DIR

HEADER = "# Written by `make run` for manage.py and other shells. Lines of your own are kept.\n"


def read(path: Path) -> dict[str, str]:
    """`NAME=value` lines."""
    if not path.exists():
        return {}
    lines = (line.partition("=") for line in path.read_text(encoding="utf8").splitlines())
    return {name.strip(): value.strip() for name, found, value in lines if found and not name.startswith("#")}


def write(path: Path, values: dict[str, str]) -> dict[str, str]:
    """Renew `values`, keep every other line, make SECRET_KEY once; only the owner may read the file."""
    merged = {"SECRET_KEY": secrets.token_urlsafe(48), **read(path), **values}
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(HEADER + "".join(f"{name}={value}\n" for name, value in merged.items()), encoding="utf8")
    draft.replace(path)
    return merged


def for_children(var: Path, values: dict[str, str]) -> dict[str, str]:
    """The environment of every process of this installation. What the user has set himself wins."""
    environment = {**values, **os.environ, "VAR_DIR": str(var), "PYTHONUNBUFFERED": "1"}
    # Celery would set Django up in the worker, which has no database, when it saw this.
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    if os.geteuid() == 0:  # in a container that is nothing to be told four times
        environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser privileges")
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BASE_DIR), os.environ.get("PYTHONPATH")]))
    return environment
