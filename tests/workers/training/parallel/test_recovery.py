"""A killed process costs at most the steps since a checkpoint, and other meshes go on with what one has left."""

import random
import shutil

import pytest

from benchmarks.v3_recovery import Run, difference, disturb, finish
from workers.data.corpus import DataMissing
from workers.training.moe import load_text

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STEPS, EVERY = 12, 3


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A run that nobody disturbs, on two processes that share the experts."""
    try:
        load_text()
    except DataMissing as error:
        pytest.skip(str(error))
    run = Run(tmp_path_factory.mktemp("runs") / "quiet", "1,1,2", STEPS, EVERY)
    finish(run, run.start())
    return run


def losses(run):
    return {line["step"]: line["loss"] for line in run.lines()}


def checkpoints(run):
    return sorted(path.name for path in (run.folder / "checkpoints").iterdir())


def test_the_newest_checkpoints_stay(quiet):
    assert checkpoints(quiet) == ["step-00000009", "step-00000012"]


def test_a_killed_process_changes_no_loss(quiet):
    run = Run(quiet.folder.parent / "hit", quiet.mesh, STEPS, EVERY)
    process = run.start(restarts=3)
    try:
        (kill,) = disturb(run, process, 1, random.Random(0))
        finish(run, process)
    finally:
        process.terminate()

    assert difference(losses(run), losses(quiet)) == 0.0  # to the last bit
    assert kill["repeated"] <= EVERY + 1  # a checkpoint may be on its way when the next step is done
    assert checkpoints(run) == checkpoints(quiet)


def test_a_checkpoint_that_was_not_finished_is_no_checkpoint_and_another_mesh_goes_on_from_the_one_before(quiet):
    run = Run(quiet.folder.parent / "stages", "1,2,1", STEPS, EVERY)
    shutil.copytree(quiet.folder, run.folder)
    newest = run.folder / "checkpoints" / "step-00000012"
    newest.rename(newest.with_suffix(".incomplete"))  # as a kill while it is written leaves it
    (newest.with_suffix(".incomplete") / ".metadata").unlink()
    finish(run, run.start())

    assert [line["step"] for line in run.lines()][STEPS:] == [10, 11, 12]
    assert difference(losses(run), losses(quiet)) < 1e-4
    assert checkpoints(run) == checkpoints(quiet)
