"""python -m workers.export RUN OUT [--name NAME] [--precision int8|fp32] [--tolerance POINTS]

RUN is a folder that workers.training wrote, OUT the artifact's folder. Prints what was measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from workers.data.corpus import DataMissing

from . import quantise
from .source import ExportError
from .trained import Exporter, Wish


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.export", description="Makes an artifact of a run.")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--title")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    parser.add_argument("--tolerance", type=float, default=quantise.TOLERANCE, help="points that int8 may lose")
    parser.add_argument("--tiers", type=float, nargs="+", default=[], metavar="SHARE",
                        help="packed inference: the share of the blocks that may use each level")  # fmt: skip
    parser.add_argument("--work", type=Path, help="keeps every graph here; an export that goes on takes what it finds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name = arguments.name or arguments.out.name
    wish = Wish(name, arguments.title or name, arguments.precision, arguments.tolerance, tuple(arguments.tiers))
    try:
        with _work(arguments.work) as work:
            manifest = Exporter(arguments.run, work, _show).export(wish, arguments.out)
    except (ExportError, DataMissing, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{arguments.run} is not a finished run: {error}.", file=sys.stderr)
        return 1
    print(json.dumps(manifest["metrics"], indent=1))
    return 0


@contextlib.contextmanager
def _work(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _show(stage: str, fraction: float) -> None:
    print(f"{fraction:4.0%} {stage}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
