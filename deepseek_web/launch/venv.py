"""Make `.venv` and install the locked packages into it; nothing to do when that happened before.

Runs as a script under the system's Python, before any package is installed:
`python3.11 deepseek_web/launch/venv.py [--dev] [--gpu]`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 13))
NEEDED_GB = 4  # the packages take 2.2 GB, pip unpacks beside them

# What pip says, and what that means for the reader. The first match counts.
EXPLANATIONS = (
    (r"No space left on device", "the disk is full. Free {needed} GB and run the command again."),
    (
        r"DO NOT MATCH THE HASHES|IncompleteRead|incomplete-download|BadZipFile|Wheel .* is invalid",
        "a download arrived broken. Run the command again; what is complete is not fetched twice.",
    ),
    (
        r"NewConnectionError|ConnectionError|ReadTimeout|Temporary failure in name resolution|ProxyError|SSLError",
        "the package index cannot be reached. Check the network (and proxy settings) and run the command again.",
    ),
    (
        r"command '.*(gcc|cc|clang)' failed|Failed building wheel|Failed to build|Microsoft Visual C",
        "a package has to be compiled and no compiler is installed. Install one (Debian: apt install build-essential).",
    ),
    (
        r"from versions: none",
        "the package index cannot be reached, or does not have a package. Check the network, pip's configuration and "
        "proxy settings, and run the command again.",
    ),
    (
        r"No matching distribution|Could not find a version",
        "the package index has no fitting build of a package for Python {version} on this machine "
        "(64-bit Linux with Python 3.11 is what the lock file is made for).",
    ),
    (r"Permission denied", "a file in .venv cannot be written. Give it to this user, or remove .venv, and try again."),
)


class SetupError(RuntimeError):
    """The message is shown without a traceback."""


def check_python() -> None:
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        raise SetupError(
            f"Python {version} ({sys.executable}) cannot be used; 3.11 is what this is tested with. "
            "Name another: make run PYTHON=/path/to/python3.11"
        )
    try:
        import ensurepip  # noqa: F401  Debian keeps it in a package of its own
        import venv  # noqa: F401
    except ImportError:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupError(f"Python's venv module is missing. Install it (Debian: apt install {name}).") from None


def check_space() -> None:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        raise SetupError(f"{free:.1f} GB are free on the disk of {ROOT}; the packages need {NEEDED_GB} GB.")


def digest(paths: list[Path]) -> str:
    """Changes with the lock files, the Python version and the folder (scripts in a venv name their folder)."""
    found = hashlib.sha256(f"{VENV} {sys.version_info[:2]}".encode())
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two commands started at the same time must not install into the same folder."""
    with open(ROOT / "requirements.txt", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is installing packages; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def works() -> bool:
    """Whether `.venv` is one, for this Python version and in this folder."""
    question = "import sys, pip; print(sys.prefix, sys.version_info[:2])"
    try:
        answer = subprocess.run([VENV / "bin/python", "-c", question], capture_output=True, text=True)
    except OSError:
        return False
    return answer.stdout.strip() == f"{VENV} {sys.version_info[:2]}"


def create() -> None:
    print(f"Creating .venv with Python {sys.version_info[0]}.{sys.version_info[1]}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
    if made.returncode:
        raise SetupError(f".venv cannot be created: {explain(made.stdout + made.stderr)}")


def pip(*arguments: str, title: str = "", total: int = 0) -> None:
    """Run pip in `.venv`; show which of `total` packages it is at, and its last words when it fails."""
    command = [str(VENV / "bin/python"), "-m", "pip", *arguments, "--no-input", "--disable-pip-version-check"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    output, seen = [], 0
    for line in process.stdout:
        output.append(line)
        seen += line.startswith("Collecting ")
        show(title, seen, total, line)
    show_end(title)
    if process.wait():
        log = VENV / "pip.log"
        with contextlib.suppress(OSError):
            log.write_text("".join(output), encoding="utf8")
        raise SetupError(f"pip could not install the packages: {explain(''.join(output))} pip's words are in {log}.")


def show(title: str, seen: int, total: int, line: str) -> None:
    if not title:
        return
    name = re.match(r"Collecting ([\w.-]+)|(Installing) collected", line)
    if name and sys.stdout.isatty():
        what = name.group(1) or "unpacking, takes a minute"
        print(f"\r\033[K{title}: {min(seen, total)} of {total}, {what}", end="", flush=True)
    elif name and (name.group(2) or seen % 25 == 1):
        print(f"{title}: {'unpacking' if name.group(2) else f'{seen} of {total}'}", flush=True)


def show_end(title: str) -> None:
    if title and sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)


def explain(output: str) -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for pattern, meaning in EXPLANATIONS:
        if re.search(pattern, output, re.IGNORECASE):
            return meaning.format(needed=NEEDED_GB, version=version)
    errors = [line for line in output.splitlines() if line.lower().startswith("error")]
    return (errors or output.strip().splitlines() or ["it gave no reason."])[-1]


def install(lock: Path, title: str) -> None:
    total = sum(1 for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    # Wheels only: nothing is compiled here, and no package runs code of its own while it is installed.
    pip("install", "--only-binary", ":all:", "--progress-bar", "off", "-r", lock.name, title=title, total=total)


def install_runtime(gpu: bool) -> None:
    install(ROOT / "requirements.txt", "Installing packages")
    pip("install", "--quiet", "--no-deps", "-r", "requirements-nodeps.txt")
    if gpu:
        pip("uninstall", "--quiet", "--yes", "onnxruntime", "onnxruntime-gpu")
        pip("install", "--quiet", "--no-deps", "-r", "requirements-gpu.txt")


def install_dev() -> None:
    install(ROOT / "requirements-dev.txt", "Installing test packages")
    pip("install", "--quiet", "--no-deps", "-r", "requirements-dev-nodeps.txt")


def ensure(stamp_name: str, locks: list[str], action: object) -> None:
    """Run `action` unless its stamp says that it ran for exactly these lock files."""
    stamp, wanted = VENV / stamp_name, digest([ROOT / name for name in locks])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    check_space()
    if not works():
        create()
    assert callable(action)
    action()
    stamp.write_text(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--gpu", action="store_true", help="onnxruntime-gpu in the place of onnxruntime")
    options = parser.parse_args()
    check_python()
    runtime = ["requirements.txt", "requirements-nodeps.txt"] + ["requirements-gpu.txt"] * options.gpu
    with only_one():
        ensure(".runtime", runtime, lambda: install_runtime(options.gpu))
        if options.dev:
            ensure(".dev", ["requirements-dev.txt", "requirements-dev-nodeps.txt"], install_dev)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"The packages cannot be set up: {error.strerror or error} ({error.filename or ROOT}).")
