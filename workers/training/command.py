"""The command line that every trainer has."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from workers.data.corpus import DataMissing

from .progress import Say, speaker
from .recipe import changed, load_recipe


def run(description: str, example: str, train: Callable[[Any, Path, Say], dict[str, Any]]) -> int:
    """Trains what --recipe names, such as `example`, and prints its accuracy; the process's exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", required=True, help=f"such as {example}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an interrupted one goes on")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="changes to the recipe")
    parser.add_argument("--progress", choices=["tty", "json", "none"], default="tty")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        config = changed(load_recipe(arguments.recipe), dict(one.split("=", 1) for one in arguments.set))
        figures = train(config, arguments.out, speaker(arguments.progress))
    except (DataMissing, ValueError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    print(json.dumps({"accuracy": figures["accuracy"], "folder": str(arguments.out)}))
    return 0
