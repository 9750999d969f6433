"""A new version goes from 0 over 10 and 50 to 100 per cent, and another replaces it at once, under steady load.

    python -m benchmarks.rollout [--url http://127.0.0.1:8000 --var var]

starts an installation of its own unless --url names one. Then a version that cannot be loaded is rolled out,
and one whose graph fails on real words: the first must never get a request, the guard must take the second
back. All are MiniLM: copies of its artifact, one with a cut file, one with a changed graph.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from benchmarks.environment import commit, environment
from benchmarks.installation import supervised
from benchmarks.outages import setting
from contracts import names
from tests.e2e.stack import EMAIL, ROOT, Stack
from tests.e2e.stack import environment as stack_environment
from workers.export.minilm import prepare_minilm
from workers.export.source import sha256_of

RESULTS = Path(__file__).parent / "results" / "rollout.json"
NAME = "rollout"
TEXT = "The lighthouse keeper writes down the weather of day {}, as he has done for thirty years."
SETTLING = 0.5  # seconds after a change that belong to neither phase: snapshots of web processes are that old


@dataclass
class Answer:
    sent_at: float
    status: int
    seconds: float = 0.0


@dataclass
class Load:
    """Requests at a fixed rate, whether or not the ones before are answered."""

    url: str
    key: str
    rate: float
    path: str = "/v1/embeddings"
    body: Callable[[int], dict[str, Any]] = lambda number: {"model": NAME, "input": TEXT.format(number)}
    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(128)
        self._thread = threading.Thread(target=self._send_on)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._pool.shutdown(wait=True)

    def _send_on(self) -> None:
        started, sent = time.monotonic(), 0
        while not self._stopped.wait(max(0.0, started + sent / self.rate - time.monotonic())):
            self._pool.submit(self.ask, sent)
            sent += 1

    def ask(self, number: int) -> None:
        answer = Answer(time.time(), 0)
        try:
            answer.status, _ = self._post(json.dumps(self.body(number)))
        except (OSError, http.client.HTTPException) as error:
            print("no answer:", repr(error))
        answer.seconds = time.time() - answer.sent_at
        self.answers.append(answer)

    def _post(self, body: str) -> tuple[int, bytes]:
        # A connection for each request: one kept idle may be closed by the server just when it is used again.
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=120)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class Control:
    """The verbs of an administrator, in one Django process that stays."""

    _CODE = """
import json, sys
from pathlib import Path
from apps.registry.services import register_version
from apps.serving.deployments import *
from apps.serving.models import Deployment
def register(path): return register_version(artifact=Path(path), name="rollout-minilm", title="Rollout")
def the_deployment(): return Deployment.objects.get(name="rollout")
def revision(number): return the_deployment().revisions.get(number=number)
for line in sys.stdin:
    print(json.dumps(eval(line), default=str), flush=True)
"""

    def __init__(self, stack: Stack) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", self._CODE],
            cwd=ROOT, env=stack_environment(stack.var), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def do(self, expression: str) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if not line.startswith("20"):  # a line of the log
                return json.loads(line)
        raise RuntimeError(f"{expression} failed")

    def add(self, artifact: Path, weight: int) -> int:
        version = f"register({str(artifact)!r})"
        verb = f"add_revision(actor=None, deployment=the_deployment(), version={version}, weight={weight})"
        return int(self.do(f"{verb}.number"))

    def wait_for(self, number: int, *states: str) -> str:
        for _ in range(600):
            state = str(self.do(f"revision({number}).state"))
            if state in states:
                return state
            if state == "FAILED":
                break
            time.sleep(0.2)
        raise RuntimeError(f"revision {number} is {state}: {self.do(f'revision({number}).reason')}")

    def close(self) -> None:
        self._process.communicate("", timeout=30)


def variants(source: Path, folder: Path) -> dict[str, Path]:
    """Artifacts `old`, `new`, `newer`, `broken` (a cut graph) and `erring` (fails on words)."""
    found = {}
    for name in ("old", "new", "newer", "broken", "erring"):
        found[name] = target = folder / f"rollout-{name}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        manifest = json.loads((target / "manifest.json").read_text())
        (target / "manifest.json").write_text(json.dumps({**manifest, "name": f"rollout-{name}"}))
    graph = found["broken"] / "model.onnx"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    let_fail(found["erring"] / "model.onnx", beyond=1000)
    for name in ("broken", "erring"):
        _list_again(found[name])
    return found


def _list_again(artifact: Path) -> None:
    """Let the manifest list the graph as it is now: registration compares hashes and would refuse it."""
    graph, manifest = artifact / "model.onnx", json.loads((artifact / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = {"sha256": sha256_of(graph), "bytes": graph.stat().st_size}
    (artifact / "manifest.json").write_text(json.dumps(manifest))


def let_fail(path: Path, *, beyond: int) -> None:
    """Change a graph so that it fails on token ids above `beyond`: it looks the largest one up in a table that is
    too short. Special tokens, of which warming up is made, are below 1,000 in BERT's vocabulary; words are above."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["input_ids_checked" if name == "input_ids" else name for name in node.input]
    zeros = [0] * (beyond + 1)
    graph.initializer.append(helper.make_tensor("fail_table", TensorProto.INT64, [len(zeros)], zeros))
    nodes = [
        helper.make_node("ReduceMax", ["input_ids"], ["fail_largest"], keepdims=0),
        helper.make_node("Gather", ["fail_table", "fail_largest"], ["fail_zero"]),
        helper.make_node("Add", ["input_ids", "fail_zero"], ["input_ids_checked"]),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
    onnx.save(model, str(path))


@dataclass
class Phase:
    """A stretch of time (seconds since the epoch) in which revision `number` should get `share` per cent."""

    number: int
    share: int
    begin: float
    end: float

    def figures(self, sent: list[tuple[float, str]]) -> dict[str, Any]:
        mine = [revision for at, revision in sent if self.begin <= at < self.end]
        got = 100 * mine.count(names.revision_key(NAME, self.number)) / max(1, len(mine))
        return {"share": self.share, "got": round(got, 2), "requests": len(mine)}


def canary(control: Control, artifact: Path, seconds: float) -> list[Phase]:
    """0, 10, 50, 100 per cent for `seconds` each."""
    phases = [hold(2, 0, seconds)]
    number = control.add(artifact, 10)
    control.wait_for(number, "READY")
    for share in (10, 50, 100):
        if share > 10:
            weights = {number: share, 1: 100 - share}
            control.do(f"set_weights(actor=None, deployment=the_deployment(), weights={weights})")
        phases.append(hold(number, share, seconds))
    return phases


def hold(number: int, share: int, seconds: float) -> Phase:
    time.sleep(SETTLING)
    begin = time.time()
    time.sleep(seconds)
    return Phase(number, share, begin, time.time())


def requests_of(store: redis.Redis, since: float) -> list[tuple[float, str]]:
    """When each request of the deployment was taken, and by which revision it was served."""
    keys = list(store.scan_iter(names.request_key("*").replace("{", "[{]").replace("}", "[}]"), count=1000))
    with store.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hmget(key, "arrival_time", "revision")
        rows = pipe.execute()
    return [
        (float(at), revision) for at, revision in rows if (revision or "").startswith(f"{NAME}@") and float(at) >= since
    ]


def failures(load: Load) -> int:
    return sum(answer.status != 200 for answer in load.answers)


def run(stack: Stack, *, rate: float, seconds: float, source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    store = redis.Redis.from_url(setting(stack, "REDIS_URL"), decode_responses=True)
    key = stack.manage("create_api_key", EMAIL).strip()
    since = time.time()
    artifacts = variants(source, stack.var / "artifacts")
    control = Control(stack)
    if control.do("Deployment.objects.filter(name='rollout').exists()"):
        control.do("delete_deployment(actor=None, deployment=the_deployment())")
        time.sleep(3)
    control.do(f"create_deployment(actor=None, name='rollout', version=register({str(artifacts['old'])!r}))")
    control.wait_for(1, "READY")
    with Load(stack.url, key, rate) as load:
        phases = canary(control, artifacts["new"], seconds)
        took_over = control.add(artifacts["newer"], 100)
        control.wait_for(took_over, "READY")
        time.sleep(3)
        broken = control.add(artifacts["broken"], 100)
        control.wait_for(broken, "FAILED")
        reason = control.do(f"revision({broken}).reason")
        time.sleep(3)
    sent = requests_of(store, since)
    measured = [phase.figures(sent) for phase in phases]
    counts = Counter(revision for _, revision in sent)
    guarded = guard(control, stack, key, rate, artifacts["erring"])
    control.do("delete_deployment(actor=None, deployment=the_deployment())")
    control.close()
    summary = {
        "failed_requests": failures(load),
        "share_error_points": max(abs(phase["got"] - phase["share"]) for phase in measured),
        "requests": len(load.answers),
        "requests_to_the_broken_version": counts[names.revision_key(NAME, broken)],
        "requests_to_the_version_that_took_over": counts[names.revision_key(NAME, took_over)],
        **guarded,
    }
    slow = sorted(answer.seconds for answer in load.answers)
    details = {
        "phases": measured,
        "rate": rate,
        "broken_reason": reason.replace(f"{Path.cwd()}/", ""),  # names no machine
        "statuses": dict(Counter(str(answer.status) for answer in load.answers)),
        "seconds_p50": round(slow[len(slow) // 2], 3),
        "seconds_p95": round(slow[int(len(slow) * 0.95)], 3),
    }
    return summary, details


def guard(control: Control, stack: Stack, key: str, rate: float, artifact: Path) -> dict[str, Any]:
    """Let half the traffic go to a version that fails, and see how long the guard lets it."""
    number = control.add(artifact, 50)
    control.wait_for(number, "READY")
    started = time.monotonic()
    with Load(stack.url, key, rate) as load:
        while control.do(f"revision({number}).weight") and time.monotonic() - started < 120:
            time.sleep(0.2)
        took = time.monotonic() - started
        time.sleep(1)
        back_at = time.time()
        time.sleep(5)
    said = control.do(
        "__import__('apps.audit.models').audit.models.AuditEntry.objects.filter(actor_label='guard').first().data"
    )
    return {
        "guard_seconds": round(took, 1),
        "guard_rolled_back": control.do(f"revision({number}).weight") == 0,
        "guard_reason": said["reason"],
        "errors_before_the_guard": sum(a.status != 200 for a in load.answers if a.sent_at < back_at),
        "errors_after_the_guard": sum(a.status != 200 for a in load.answers if a.sent_at >= back_at),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an installation that runs; without it one is started in --var")
    parser.add_argument("--var", type=Path, default=Path("var/benchmark"))
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=15, help="of each of the four phases")
    options = parser.parse_args()
    with supervised(options.url, options.var) as stack:
        source = prepare_minilm(stack.var / "artifacts")
        summary, details = run(stack, rate=options.rate, seconds=options.seconds, source=source)
    print(json.dumps({**summary, **details}, indent=1))
    results = {
        "summary": summary,
        "details": details,
        "environment": environment(("onnxruntime", "redis", "celery", "uvicorn", "django")),
        "command": "python -m benchmarks.rollout " + " ".join(sys.argv[1:]),
        "commit": commit(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
