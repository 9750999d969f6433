"""The law of imports, where import-linter alone does not reach (pyproject.toml has the rest)."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "onnxruntime", "transformers", "peft", "onnx", "onnxscript", "onnxruntime_genai")


def imported(folder: Path) -> set[str]:
    """Top-level names of everything that the files below `folder` import."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).partition(".")[0])
    return found


def contracts() -> dict[str, dict]:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["name"]: contract for contract in linter["contracts"]}


def test_contracts_import_the_standard_library_only() -> None:
    """But clips, whose samples both sides read and have numpy for."""
    assert imported(ROOT / "contracts") - {"contracts", "numpy"} <= sys.stdlib_module_names
    with_numpy = [path.name for path in (ROOT / "contracts").glob("*.py") if "import numpy" in path.read_text()]
    assert with_numpy == ["clips.py"]


def test_zoo_imports_torch_only() -> None:
    assert imported(ROOT / "workers/zoo") - {"torch"} <= sys.stdlib_module_names


def test_every_app_obeys_the_order_of_its_modules() -> None:
    apps = sorted(f"apps.{path.parent.name}" for path in ROOT.glob("apps/*/apps.py"))
    (law,) = [contract for name, contract in contracts().items() if name.startswith("Within an app")]
    assert sorted(law["containers"]) == apps


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("deepseek_web.asgi", HEAVY),
        ("deepseek_web.celery", HEAVY),
        ("deepseek_web.launch.run", ("django.db", "django.apps", *HEAVY)),
        (
            "workers.app, workers.host, workers.tasks.infer",
            ("django.db", "django.apps", "torch", "transformers", "onnxruntime", "boto3"),
        ),
        (
            "workers.train, workers.tasks.job",
            ("django.db", "django.apps", "torch", "transformers", "onnx", "onnxruntime", "numpy", "boto3"),
        ),
        ("workers.engine.engine", ("django", "celery", "redis", "torch", "onnxruntime")),
        ("contracts.messages, contracts.names", ("django", "celery", "redis", "numpy")),
    ],
)
def test_fresh_process_does_not_load(modules: str, forbidden: tuple[str, ...]) -> None:
    question = f"import sys, {modules}; print(*sorted(set({forbidden!r}) & set(sys.modules)))"
    # Celery imports Django where this is set, as the test run has it.
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", question]
    asked = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (asked.returncode, asked.stdout.strip()) == (0, ""), asked.stderr
