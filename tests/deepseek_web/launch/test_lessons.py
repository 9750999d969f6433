"""Which models that classifiers are taught with are still to be made."""

from pathlib import Path

import pytest

from deepseek_web.launch.folders import Folders
from deepseek_web.launch.lessons import READS, Lessons
from workers.export.few_shot import NAMES


@pytest.mark.parametrize(
    ("stamp", "missing"),
    [
        (None, ["teach-texts", "teach-pictures", "teach-clips", "teach-windows"]),
        ("", ["teach-clips", "teach-windows"]),  # of an installation that knew neither
        ("teach-texts\nteach-pictures\nteach-windows", ["teach-clips"]),
        ("teach-texts\nteach-pictures\nteach-windows\nteach-clips", []),
    ],
)
def test_only_what_was_never_registered_is_made(tmp_path: Path, stamp: str | None, missing: list[str]) -> None:
    path = tmp_path / "stamp"
    if stamp is not None:
        path.write_text(stamp)
    assert Lessons(Folders(tmp_path), {}, path).missing == missing


def test_every_model_that_can_be_made_is() -> None:
    assert {name: reads for reads, name in NAMES.items()} == READS
