"""A training on a mesh as the process that worker-train starts: its processes, its curve, cancelled and gone on."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import redis

from contracts.messages import JobRequest
from contracts.mixture import Layout
from tests.workers.jobs.running import entries, points, start
from tests.workers.jobs.test_train_process import cancel
from workers.jobs import mesh
from workers.jobs.curve import Curve
from workers.jobs.folder import has_kept, kept_folder
from workers.jobs.mesh import Wanted
from workers.jobs.report import JobError, Report
from workers.training.recipe import changed, load_recipe

SMALL = {"steps": 24, "batch_size": 4, "length": 32, "evaluate_every": 12, "checkpoint_every": 5}
TWO = {"dp": 1, "pp": 1, "ep": 2, "micro_batches": 1}
CONFIG = changed(load_recipe("v3.shakespeare"), SMALL)


def said_of(lines: list[str]) -> list[dict]:
    pipe = io.StringIO()
    mesh._follow(lines, 1, Curve(CONFIG, Report(pipe)))
    return [json.loads(line)[1] for line in pipe.getvalue().splitlines()]


def step(number: int, **figures: float) -> str:
    said = {"step": number, "steps": 24, "loss": 2.0, "rate": 3.0, "seconds_left": 9, "figures": figures, "ranks": []}
    return json.dumps(said) + "\n"


def test_steps_that_are_repeated_are_told_once_and_each_carries_the_newest_of_the_processes(capsys) -> None:
    rows = [{"rank": rank, "step": 2, "tokens": 9.0} for rank in (1, 0)]
    found = said_of(
        [step(1), step(2), json.dumps(rows[0]), "a warning\n", json.dumps(rows[1]), step(2), step(3), '{"step": ',
         step(24), step(24, score=-1.0, bits=1.0)]
    )  # fmt: skip

    assert [one["step"] for one in found] == [2, 3, 24, 24]
    assert ["ranks" in one for one in found] == [False, True, True, True]
    assert found[1]["ranks"] == [rows[1], rows[0]]
    assert found[3]["figures"] == {"score": -1.0, "bits": 1.0}
    assert capsys.readouterr().out == 'a warning\n{"step": '


@pytest.mark.parametrize(
    ("wanted", "cores", "free", "said"),
    [
        (Wanted(Layout(pp=3), 2), 4, 8e9, "micro_batches does not divide"),
        (Wanted(Layout(2, 1, 2), 1), 2, 8e9, "has 4 processes, this machine 2 cores"),
        (Wanted(Layout(dp=2), 1), 2, 0.5e9, "0.5 GB are free. Take fewer processes"),
    ],
)
def test_what_the_machine_cannot_do_is_refused_before_it_begins(wanted, cores, free, said) -> None:
    with pytest.raises(JobError, match=said):
        mesh.check(CONFIG, wanted, cores, int(free))


def test_an_attempt_that_has_left_nothing_has_no_losses(tmp_path) -> None:
    assert mesh.earlier(tmp_path).step == 0


def test_the_losses_before_the_newest_checkpoint_are_read_once(tmp_path) -> None:
    for name in ("step-00000002", "step-00000003.incomplete"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.5}, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}]
    (tmp_path / "steps.jsonl").write_text("\n".join(map(json.dumps, [*lines, {"step": 3, "loss": 1.0}])) + '\n{"st')
    found = mesh.earlier(tmp_path)

    assert (found.step, found.losses) == (2, [3.0, 2.0])


def test_a_checkpoint_of_a_mesh_is_kept_when_it_is_complete(tmp_path) -> None:
    for name, expected in (("step-00000003.incomplete", False), ("step-00000003", True)):
        with pytest.raises(ValueError), kept_folder(tmp_path, "j1") as folder:  # noqa: PT011
            (folder / "run" / "checkpoints" / name).mkdir(parents=True)
            (folder / "run" / "checkpoints" / name / ".metadata").touch()
            raise ValueError
        assert has_kept(tmp_path, "j1") is expected


@pytest.fixture
def client() -> redis.Redis:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    return client


def training(job: str, attempt: int = 1) -> JobRequest:
    wish = {"recipe": "v3.shakespeare", "changes": SMALL, "name": "tiny", "title": "Tiny", "precision": "fp32"}
    return JobRequest(job_id=job, kind="train", arguments={**wish, "mesh": TWO}, attempt=attempt)


def of_the_mesh(run: str) -> list[int]:
    """Processes whose command names the run's folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if run in " ".join(process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


def ranks_of(run: str) -> list[int]:
    """Without torchrun, which names them in its command too."""
    return [pid for pid in of_the_mesh(run) if "torch.distributed.run" not in psutil.Process(pid).cmdline()]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two processes need two cores")
def test_a_cancelled_mesh_leaves_no_process_and_goes_on_over_a_kill_to_an_artifact(client, tmp_path) -> None:
    runner = start(client, tmp_path, training("j1"))
    cancel(client, "j1", runner, lambda: has_kept(tmp_path, "j1") and len(points(client, "j1")) > 6)
    stopped_at = len(points(client, "j1"))
    (error,) = entries(client, "j1", "error")
    assert error["type"] == "cancelled" and "goes on from there" in error["message"]
    until = time.monotonic() + 10
    while of_the_mesh(str(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert of_the_mesh(str(tmp_path)) == []

    runner = start(client, tmp_path, training("j1", attempt=2))
    while len(points(client, "j1")) < stopped_at + 3:  # beyond what it tells once more
        assert runner.is_alive()
        time.sleep(0.05)
    os.kill(ranks_of(str(tmp_path))[-1], signal.SIGKILL)
    runner.join(400)
    assert entries(client, "j1", "error") == []
    assert any("Goes on from step" in one["line"] for one in entries(client, "j1", "log"))
    told = points(client, "j1")
    assert [number for number, _, figures in told if not figures] == list(range(1, 25))
    assert told[-1][0] == 24 and told[-1][2]["bits"] > 0
    ranks = [one["ranks"] for one in entries(client, "j1", "progress") if "ranks" in one][-1]
    assert [(row["rank"], row["ep"], sorted(row["load"])) for row in ranks] == [
        (0, 0, ["0", "1", "2", "3"]), (1, 1, ["0", "1", "2", "3"]),
    ]  # fmt: skip
    (result,) = entries(client, "j1", "result")
    manifest = json.loads((tmp_path / result["artifact"] / "manifest.json").read_text())
    assert (manifest["task"], manifest["precision"]) == ("text-generation", "fp32")
    assert "--mesh 1,1,2" in manifest["source"]["training"]


KILLED = """
import io, sys
from pathlib import Path
from tests.workers.jobs import test_mesh as here
curve = here.Curve(here.CONFIG, here.Report(io.StringIO()))
here.mesh.train(here.CONFIG, "v3.shakespeare", here.SMALL, here.Wanted.of(here.TWO), Path(sys.argv[1]), curve)
"""


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="the kernel is asked through setpriv")
def test_a_killed_job_takes_its_mesh_with_it(tmp_path) -> None:
    run = tmp_path / "run"
    job = subprocess.Popen([sys.executable, "-c", KILLED, str(run)])
    until = time.monotonic() + 200
    while not (run / "steps.jsonl").exists() and time.monotonic() < until:
        assert job.poll() is None
        time.sleep(0.1)
    assert len(ranks_of(str(run))) >= 2
    job.kill()
    job.wait()
    until = time.monotonic() + 10
    while of_the_mesh(str(run)) and time.monotonic() < until:
        time.sleep(0.1)
    assert of_the_mesh(str(run)) == []
