"""Everything that can be taken away, one after the other, under people and programs at work (docs/operations.md).

In each cell programs ask the chat model through the API, a person sends messages whose answers are stored, and
readings come in. All of them repeat what had no answer with the same Idempotency-Key, as docs/api.md says. Asserted is
that nothing is lost, nothing is doubled, whoever was refused was told when to come again, nothing stays taken
afterwards, and how long it takes until somebody is answered. The hub of streams is no process: it lives and dies with
`web`.
"""

import io
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from benchmarks.anomaly_outages import Bulk
from benchmarks.anomaly_plant import FIT, STATE, packed
from benchmarks.inhabited import CHAT, PICTURES
from tests.chaos.site import FAKETIME, Site, Traffic

OUTAGE = 6.0  # seconds
NOT_NOW, AT_WORK, GONE = "503", "409", "no connection"
SLOWNESS = float(os.environ.get("CHAOS_SLOWNESS", "1"))  # of a machine that does other things meanwhile
SOON, LATER = 60.0 * SLOWNESS, 120.0 * SLOWNESS
Outcomes = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """`says` is what a client may hear meanwhile, `seconds` when the first is answered at the latest."""

    name: str
    disturb: Callable[[Site, Traffic], None]
    says: frozenset[str]
    seconds: float = SOON
    loses_redis: bool = False  # requests under way may end with an error that says so


def killed(name: str) -> Callable[[Site, Traffic], None]:
    return lambda site, traffic: site.kill(name)


def restarted(name: str, *, empty: bool = False) -> Callable[[Site, Traffic], None]:
    def disturb(site: Site, traffic: Traffic) -> None:
        site.stop_store(name)
        time.sleep(OUTAGE)
        if empty:
            for path in (site.stores.var / name).rglob("*.aof"):
                path.unlink()
            for path in (site.stores.var / name).rglob("*.manifest"):
                path.unlink()
        site.start_store(name)

    return disturb


def within(of: Callable[[Site], AbstractContextManager[None]], answers: int = 2) -> Callable[[Site, Traffic], None]:
    """While it lasts people are answered as well, later."""

    def disturb(site: Site, traffic: Traffic) -> None:
        with of(site):
            traffic.more(answers, 180)

    return disturb


def stalled(of: Callable[[Site], AbstractContextManager[None]]) -> Callable[[Site, Traffic], None]:
    def disturb(site: Site, traffic: Traffic) -> None:
        with of(site):
            time.sleep(OUTAGE)

    return disturb


CELLS = (
    Cell("kill web", killed("web"), frozenset({GONE, AT_WORK, NOT_NOW})),
    Cell("kill worker", killed("worker"), frozenset({AT_WORK, NOT_NOW})),
    Cell("kill worker-app", killed("worker-app"), frozenset()),
    Cell("kill worker-train", killed("worker-train"), frozenset()),
    Cell("kill beat", killed("beat"), frozenset()),
    Cell("redis restarts with its data", restarted("valkey"), frozenset({AT_WORK, NOT_NOW})),
    Cell("redis restarts without its data", restarted("valkey", empty=True), frozenset({AT_WORK, NOT_NOW, "500"}),
         seconds=LATER, loses_redis=True),
    Cell("postgresql restarts", restarted("postgres"), frozenset({AT_WORK, NOT_NOW})),
    Cell("redis is 30 ms away", within(lambda site: site.redis_proxy.delayed(0.03)), frozenset()),
    Cell("postgresql is 30 ms away", within(lambda site: site.database_proxy.delayed(0.03)), frozenset()),
    Cell("nothing comes from redis", stalled(lambda site: site.redis_proxy.stalled()), frozenset({AT_WORK, NOT_NOW})),
    Cell("nothing comes from postgresql", stalled(lambda site: site.database_proxy.stalled()),
         frozenset({AT_WORK, NOT_NOW})),
)  # fmt: skip


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_nothing_is_lost_and_nothing_is_doubled(cell: Cell, site: Site, outcomes: Outcomes) -> None:
    with site.traffic() as traffic:
        traffic.more(1)
        cell.disturb(site, traffic)
        took = site.until_answered()
        traffic.more(2, 240)
    found = outcomes[cell.name] = {"recovery_s": round(took, 1), **traffic.result()}
    assert (found["lost"], found["dishonest"], found["doubled"], found["left"]) == ([], [], [], {})
    assert found["readings_kept"] == found["readings_sent"]
    assert set(found["said"]) <= cell.says
    assert took < cell.seconds
    if cell.loses_redis:
        assert all(error.get("message") for error in found["failed"])
    else:
        assert found["failed"] == []
        assert found["entries"] == found["messages"]


def test_a_job_whose_worker_is_killed_says_so_and_the_next_is_done(site: Site, outcomes: Outcomes) -> None:
    begin = time.time() - 4000
    series = {"s0": [[begin + number, number % 60] for number in range(3600)]}
    headers = {**site.administrator.headers, "Content-Type": "application/json"}
    address = f"{site.url}/api/v1/anomaly/assets/{site.asset}/readings"
    requests.post(address, data=packed(series), headers=headers, timeout=120).raise_for_status()
    fit = FIT.format(asset=site.asset, begin=begin - 10, kind="seasonal")
    site.python(fit)
    until = time.monotonic() + 120
    while site.python(_JOB).split()[0] != "RUNNING":
        assert time.monotonic() < until, site.python(_JOB)
        time.sleep(0.2)
    site.kill("worker-train")
    began = time.monotonic()
    while (told := site.python(_JOB)).split()[0] == "RUNNING":
        assert time.monotonic() - began < SOON, told
        time.sleep(0.5)
    took = time.monotonic() - began
    assert told.startswith("FAILED 1 The job was interrupted"), told
    again = site.python(fit).split()[-1]
    until = time.monotonic() + 240
    while (state := site.python(STATE.format(fit=again)).split())[0] not in {"ready", "failed"}:
        assert time.monotonic() < until, state
        time.sleep(0.5)
    outcomes["kill worker-train at work"] = {"recovery_s": round(took, 1), "said": told}
    assert state == ["ready"]


_JOB = """
from apps.jobs.models import Job
job = Job.objects.filter(kind="fit_detector").order_by("-created_at").first()  # worker-app makes it, a little later
print(job and job.state, job and job.attempt, job and job.reason)
"""


@pytest.fixture
def preloaded() -> None:
    if not any(path.exists() for path in FAKETIME):
        pytest.skip("no libfaketime (Debian: apt install libfaketime)")


@pytest.mark.parametrize("name", ["worker", "web", "worker-app"])
@pytest.mark.parametrize("seconds", [-2.0, 2.0], ids=["behind", "ahead"])
def test_a_clock_that_is_a_little_off_changes_nothing(
    name: str, seconds: float, site: Site, outcomes: Outcomes, preloaded: None
) -> None:
    """Leases carry times and last five seconds: clocks have to agree better than that."""
    with site.another(name, **site.clock(seconds)):
        took = site.until_answered()
        with site.traffic() as traffic:
            traffic.more(2, 180)
        found = outcomes[f"clock of {name} {seconds:+g} s"] = {"recovery_s": round(took, 1), **traffic.result()}
    site.until_answered()
    assert (found["lost"], found["dishonest"], found["doubled"], found["left"]) == ([], [], [], {})
    assert (found["failed"], found["said"], found["entries"]) == ([], {}, found["messages"])


def test_a_worker_whose_clock_is_far_behind_is_not_asked(site: Site, outcomes: Outcomes, preloaded: None) -> None:
    """Nothing is lost to it: who asks is told that no worker is ready, and when to come again."""
    with site.another("worker", **site.clock(-60.0)):
        body = {"model": CHAT, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
        until, answer = time.monotonic() + 60, None
        while answer is None or answer.status_code == 200:
            assert time.monotonic() < until, "it is asked all the same"
            time.sleep(1)
            answer = requests.post(
                f"{site.url}/v1/chat/completions", json=body, headers=site.program.headers, timeout=60
            )
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, answer.text
    outcomes["clock of worker -60 s"] = {"recovery_s": round(site.until_answered(), 1), "said": answer.text[:200]}


def test_a_full_disk_of_pictures_is_told_and_leaves_nothing_half(site: Site, outcomes: Outcomes) -> None:
    if site.media_disk.is_mounted:
        full, how = site.media_disk.full(), "a file system of 24 MB, full"
    else:
        full, how = site.files_of_no_size("web"), "RLIMIT_FSIZE of web"
    collection = requests.post(
        f"{site.url}/api/v1/search/collections", json={"name": "Disk", "model": PICTURES},
        headers=site.person.headers, timeout=60,
    ).json()["id"]  # fmt: skip
    files = site.var / "media"
    before = _files(files)
    with full:
        answer = _upload(site, collection, 1)
        said = answer.status_code
        assert said >= 500, answer.text
        assert _files(files) - before <= {files / "filler"}
        assert site.until_answered(site.person) < SOON  # whoever writes no files is served
    answer = _upload(site, collection, 2)
    assert answer.status_code == 201, answer.text
    until = time.monotonic() + 120
    while (upload := _get(site, f"/api/v1/search/uploads/{answer.json()['id']}"))["done"] < 1:
        assert time.monotonic() < until and not upload["failed"], upload
        time.sleep(0.5)
    pictures = _get(site, f"/api/v1/search/collections/{collection}/pictures")["data"]
    outcomes["disk of pictures full"] = {"how": how, "said": said}
    assert [one["name"] for one in pictures] == ["2.png"]


def test_a_full_disk_of_the_database_loses_nothing_that_was_accepted(site: Site, outcomes: Outcomes) -> None:
    """PostgreSQL ends when it cannot write its log; under `make run` it is started again, here by the test."""
    if not site.database_disk.is_mounted:
        pytest.skip("needs root, to mount a file system of its own")
    with site.traffic() as traffic:
        traffic.more(1)
        many = Bulk(site.stack, site.many)  # what there is room for in files that are there already is soon full
        many.daemon = True
        many.start()
        with site.database_disk.full():
            until = time.monotonic() + 60
            while not many.repeated and time.monotonic() < until:
                time.sleep(0.2)
            time.sleep(OUTAGE)
        ended = site.stores.processes["postgres"].poll() is not None
        if ended:
            site.start_store("postgres")
        took = site.until_answered()
        many.stop()
        many.join(120)
        traffic.more(2, 240)
    found = outcomes["disk of the database full"] = {
        "recovery_s": round(took, 1),
        "postgresql_ended": ended,
        "refused_readings": many.repeated,
        "many": [many.sent, site.kept_readings(site.many)],
        **traffic.result(),
    }
    assert many.repeated > 0, "it was not full"
    assert found["many"] == [many.sent] * 2
    assert (found["lost"], found["dishonest"], found["doubled"], found["left"]) == ([], [], [], {})
    assert (found["failed"], found["readings_kept"]) == ([], found["readings_sent"])
    assert set(found["said"]) <= {NOT_NOW, AT_WORK}


def _upload(site: Site, collection: str, number: int) -> requests.Response:
    file = io.BytesIO()
    Image.effect_noise((512, 512), 50 + number).save(file, "PNG")
    return requests.post(
        f"{site.url}/api/v1/search/uploads", data={"collection": collection}, headers=site.person.headers,
        files=[("files", (f"{number}.png", file.getvalue(), "image/png"))], timeout=60,
    )  # fmt: skip


def _get(site: Site, path: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(site.url + path, headers=site.person.headers, timeout=60).json()
    return found


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
