"""Ten thousand requests, then two thousand idle sockets: does memory stay, and does a broadcast arrive.

    python -m benchmarks.soak [--url http://127.0.0.1:8000 --var var]

starts an installation of its own unless --url names one. Memory is the resident memory of the processes, read
after a warm-up and after each block of requests; growth is that of the median of the last blocks over the
median of the first ones behind the warm-up. The sockets belong to users of their own; a broadcast is one
event to each of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import redis
import websockets

from benchmarks.environment import commit, environment
from benchmarks.installation import supervised
from benchmarks.outages import leases, setting
from benchmarks.rollout import Load
from tests.e2e.stack import EMAIL, ROOT, Stack
from tests.e2e.stack import environment as stack_environment

RESULTS = Path(__file__).parent / "results" / "soak.json"
MODEL = "smollm2-135m"
BLOCKS = 20
WARM_UP = 0.25  # of the requests: pools, caches and the key-value cache fill up

# Users with a session each; prints the session keys.
SESSIONS = """
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from importlib import import_module
from apps.accounts.models import User
Store = import_module(settings.SESSION_ENGINE).SessionStore
for number in range({count}):
    email = f"soak-{{number}}@example.com"
    user = User.objects.filter(email=email).first() or User.objects.create(email=email)
    session = Store()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    print(session.session_key, user.pk)
"""

BROADCAST = """
import sys
from apps.serving.events import tell_users
tell_users(sys.stdin.readline().split(), type="conversation", conversation="soak", action="changed")
"""


def memory_of(processes: list[psutil.Process]) -> int:
    """Resident bytes, of children too."""
    return sum(one.memory_info().rss for process in processes for one in [process, *process.children(recursive=True)])


def web_processes(url: str) -> list[psutil.Process]:
    port = int(url.rpartition(":")[2])
    pids = {c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN"}
    return [psutil.Process(pid) for pid in pids if pid]


def requests_block(load: Load, count: int, clients: int) -> int:
    """Send `count` requests, `clients` at a time; returns how many were not answered."""
    before = len(load.answers)
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(load.ask, range(count)))
    return sum(answer.status != 200 for answer in load.answers[before:])


def soak(stack: Stack, count: int, clients: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    store = redis.Redis.from_url(setting(stack, "REDIS_URL"), decode_responses=True)
    load = Load(
        stack.url, stack.manage("create_api_key", EMAIL).strip(), rate=0, path="/v1/chat/completions", body=question
    )
    web, worker = web_processes(stack.url), [psutil.Process(lease.pid) for lease in leases(store)]
    rows = []
    for block in range(BLOCKS):
        failed = requests_block(load, count // BLOCKS, clients)
        rows.append({"failed": failed, "web_mb": memory_of(web) / 1e6, "worker_mb": memory_of(worker) / 1e6})
        print(block, rows[-1], flush=True)
    measured = rows[int(BLOCKS * WARM_UP) :]
    return {
        "requests": count,
        "failed_requests": sum(row["failed"] for row in rows),
        "web_growth_percent": growth([row["web_mb"] for row in measured]),
        "worker_growth_percent": growth([row["worker_mb"] for row in measured]),
    }, rows


def question(number: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"Say {number % 7}."}], "max_tokens": 2}


def growth(values: list[float]) -> float:
    """Of the last three over the first three, in per cent."""
    return round(100 * (statistics.median(values[-3:]) / statistics.median(values[:3]) - 1), 2)


async def idle_sockets(stack: Stack, count: int) -> dict[str, Any]:
    """Open the sockets, look at the memory, send each user an event and wait until the last one is there."""
    lines = stack.python(SESSIONS.format(count=count)).strip().splitlines()
    sessions = [line.split() for line in lines if len(line.split()) == 2]
    address = stack.url.replace("http", "ws") + "/ws/streams/"
    before = memory_of(web_processes(stack.url))
    gate = asyncio.Semaphore(50)
    tabs = await asyncio.gather(*(open_tab(address, stack.url, key, gate) for key, _ in sessions))
    await asyncio.sleep(5)
    memory = memory_of(web_processes(stack.url))
    teller = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", BROADCAST],
        cwd=ROOT, env=stack_environment(stack.var), stdin=subprocess.PIPE, text=True,
    )  # fmt: skip
    await asyncio.sleep(6)  # Django is up and waits for the line
    heard = [asyncio.create_task(tab.recv()) for tab in tabs]
    started = time.perf_counter()
    assert teller.stdin
    teller.stdin.write(" ".join(user for _, user in sessions) + "\n")
    teller.stdin.flush()
    done, late = await asyncio.wait(heard, timeout=30)
    took = time.perf_counter() - started
    teller.communicate()
    await asyncio.gather(*(tab.close() for tab in tabs))
    return {
        "sockets": len(tabs),
        "web_mb_before": round(before / 1e6, 1),
        "web_mb_with_sockets": round(memory / 1e6, 1),
        "broadcast_heard": len(done),
        "broadcast_missed": len(late),
        "broadcast_seconds": round(took, 3),
    }


async def open_tab(address: str, origin: str, session: str, gate: asyncio.Semaphore) -> websockets.ClientConnection:
    async with gate:
        headers = {"Cookie": f"sessionid={session}"}
        return await websockets.connect(address, origin=origin, additional_headers=headers, open_timeout=60)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an installation that runs; without it one is started in --var")
    parser.add_argument("--var", type=Path, default=Path("var/benchmark"))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--sockets", type=int, default=2_000)
    options = parser.parse_args()
    with supervised(options.url, options.var) as stack:
        sockets = asyncio.run(idle_sockets(stack, options.sockets))
        print(json.dumps(sockets, indent=1))
        summary, rows = soak(stack, options.requests, options.clients)
    print(json.dumps({**summary, **sockets}, indent=1))
    results = {
        "summary": {**summary, **sockets},
        "details": {"blocks": [{name: round(value, 1) for name, value in row.items()} for row in rows]},
        "environment": environment(("onnxruntime", "redis", "celery", "uvicorn", "channels")),
        "command": "python -m benchmarks.soak " + " ".join(sys.argv[1:]),
        "commit": commit(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
