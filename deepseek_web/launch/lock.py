"""`make lock`: resolve requirements*.in into requirements.txt and requirements-dev.txt.

pip itself resolves (a dry run with a report), so the lock holds what pip would install.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = "# Made by `make lock` from {sources}; do not edit.\n"


def resolve(*arguments: str) -> dict[str, str]:
    """Name to version of everything pip would install, dependencies included."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--only-binary", ":all:", "--report", "-", *arguments]
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)
    found = (entry["metadata"] for entry in report["install"])
    # A local version such as 2.13.0+cpu exists on the machine that resolved only.
    return {normalise(item["name"]): item["version"].partition("+")[0] for item in found}


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def write(target: str, sources: str, versions: dict[str, str]) -> None:
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    (ROOT / target).write_text(HEADER.format(sources=sources) + "".join(lines), encoding="utf8")
    print(f"{target}: {len(lines)} packages")


def main() -> None:
    runtime = resolve("-r", "requirements.in")
    write("requirements.txt", "requirements.in", runtime)
    everything = resolve("-r", "requirements.txt", "-r", "requirements-dev.in")
    dev = {name: version for name, version in everything.items() if name not in runtime}
    write("requirements-dev.txt", "requirements-dev.in", dev)


if __name__ == "__main__":
    main()
