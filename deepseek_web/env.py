"""Settings come from the environment; `make run` leaves its own in `<VAR_DIR>/env` for other shells."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR", BASE_DIR / "var")).resolve()
ENV_FILE = VAR_DIR / "env"


class EnvError(RuntimeError):
    """A setting is missing or unreadable; the message says what to do."""


def load_env_file(path: Path = ENV_FILE) -> None:
    """Take over `NAME=value` lines that the environment does not set itself."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf8").splitlines():
        name, found, value = line.partition("=")
        if found and not name.startswith("#"):
            os.environ.setdefault(name.strip(), value.strip())


def env(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None:
        raise EnvError(f"{name} is not set. Start the servers with `make run`, or set {name} in the environment.")
    return value


def env_bool(name: str, default: bool = False) -> bool:
    value = os.environ.get(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no"}:
        raise EnvError(f"{name} must be 1 or 0, not {value!r}.")
    return value in {"1", "true", "yes"}


def env_int(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise EnvError(f"{name} must be a whole number, not {value!r}.") from None


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]
