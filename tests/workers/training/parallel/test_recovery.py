"""A killed process costs at most the steps since a checkpoint, and other meshes go on with what one has left."""

import random

import pytest

from benchmarks.v3_recovery import Run, difference, disturb, finish, resharded
from workers.data.corpus import DataMissing
from workers.training.moe import load_text

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(autouse=True)
def text():
    try:
        load_text()
    except DataMissing as error:
        pytest.skip(str(error))


def test_after_kills_and_on_other_meshes_losses_are_those_of_an_undisturbed_run(tmp_path):
    quiet = Run(tmp_path / "quiet", "1,1,2", 24, 3)
    losses = finish(quiet, quiet.start())
    assert sorted(path.name for path in (quiet.folder / "checkpoints").iterdir()) == ["step-00000021", "step-00000024"]

    hit = Run(tmp_path / "hit", "1,1,2", 24, 3)
    process = hit.start(restarts=3)
    kills = disturb(hit, process, 2, random.Random(0))
    assert difference(finish(hit, process), losses) == 0.0  # to the last bit
    assert max(kill["repeated"] for kill in kills) <= 3 + 1  # a checkpoint may be on its way when the next is due
    assert not list((hit.folder / "checkpoints").glob("*.incomplete"))

    assert difference(resharded(tmp_path / "other", ("1,1,2", "1,2,1"), 24), losses) < 1e-3
