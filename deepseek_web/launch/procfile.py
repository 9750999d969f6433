"""The Procfile is the one list of processes: `make run`, the image and its tests read it."""

import os
from pathlib import Path

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.errors import LaunchError

PROCFILE = BASE_DIR / "Procfile"


def processes(path: Path = PROCFILE) -> dict[str, str]:
    """Process name to shell command, in the order of the file."""
    lines = (line.strip() for line in path.read_text(encoding="utf8").splitlines())
    pairs = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _, command in pairs}


def become(name: str) -> None:
    """Replace this process by the named one (what a container runs)."""
    known = processes()
    if name not in known:
        raise LaunchError(f"There is no process {name!r}; the Procfile has {', '.join(known)}.")
    os.environ.setdefault("PROCESS_NAME", name)  # for its log
    os.execvp("sh", ["sh", "-c", f"exec {known[name]}"])
