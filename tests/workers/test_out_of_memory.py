"""Real worker processes that run out of memory: one is told so, one is killed by the kernel."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from contracts.messages import RevisionSpec
from tests.workers.process import WorkerProcess, confined_to

pytestmark = [pytest.mark.integration, pytest.mark.slow]

APP = "tests.workers.greedy_worker"
MOST = 400 * 2**20  # bytes; a worker without a model has about a quarter of it
TOO_MUCH = 4 * 2**30
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., RevisionSpec]:
    def make(name: str, **manifest: int) -> RevisionSpec:
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
        return RevisionSpec(f"{name}@1", name, "text-generation", str(tmp_path / name), "0" * 64)

    return make


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of the kernel whose processes may have `MOST` bytes together."""
    version_1 = (CGROUPS / "memory").is_dir()
    folder = (CGROUPS / "memory" if version_1 else CGROUPS) / f"test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(MOST))
    except OSError as error:
        pytest.skip(f"no control group with a limit on memory can be made: {error}")
    yield folder
    folder.rmdir()


def test_worker_that_the_kernel_kills_three_times_gives_the_revision_up(
    group: Path, model: Callable[..., RevisionSpec]
) -> None:
    greedy, modest = model("greedy", at_load=TOO_MUCH), model("modest")

    def enter() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    for _ in range(3):
        with WorkerProcess(APP, enter) as worker:
            worker.want(greedy)
            assert worker.process.wait(30) == -9
    with WorkerProcess(APP, enter) as worker:
        worker.want(greedy, modest)
        reason = worker.state("greedy@1", "FAILED").reason
        assert reason == "3 worker processes ended while they loaded or first ran it; out of memory?"
        worker.state("modest@1", "READY")
        assert worker.answer(modest, {}, max_tokens=3).outcome["completion_tokens"] == 3


def test_worker_that_gets_no_memory_goes_on_without_the_revision(model: Callable[..., RevisionSpec]) -> None:
    greedy, modest = model("greedy", at_load=TOO_MUCH), model("modest")
    hungry = model("hungry", at_step=TOO_MUCH)
    with WorkerProcess(APP, confined_to(TOO_MUCH)) as worker:
        worker.want(greedy, hungry, modest)
        assert worker.state("greedy@1", "FAILED").reason == "There was not enough memory to load it."
        worker.state("hungry@1", "READY")
        assert worker.answer(hungry, {}).error["type"] == "internal"
        worker.state("modest@1", "READY")
        assert worker.answer(modest, {}, max_tokens=3).outcome["completion_tokens"] == 3
