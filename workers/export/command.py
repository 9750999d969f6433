"""The command of an exporter: a run to an artifact, figures on standard output, a refusal in one line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .source import ExportError


def main(description: str, title: str, export: Callable[[Path, Path, str], dict[str, Any]]) -> int:
    """`export` is given run, artifact and title, and gives the manifest. Raises SystemExit on a wrong command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--title", default=title)
    arguments = parser.parse_args()
    try:
        manifest = export(arguments.run, arguments.out, arguments.title)
    except (ExportError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(manifest["metrics"], indent=1))
    return 0
