"""Tries worker-train out: says lines, takes memory, waits, fails, as its arguments ask. Sent by hand and by tests."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from contracts.messages import JobRequest
from workers.jobs.report import JobError, Report, main


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    wanted = request.arguments
    (folder / "half").write_text("half of a result")
    report.progress("trying", 0.5)
    print("a line of the log", flush=True)
    held = bytearray(wanted.get("bytes", 0))
    held[::4096] = b"x" * len(held[::4096])  # touched, so that it counts
    if wanted.get("child"):
        child = subprocess.Popen(["sleep", "600"])
        print(child.pid, flush=True)
    time.sleep(wanted.get("seconds", 0))
    if "error" in wanted:
        raise JobError(wanted["error"])
    return {"answer": 42}


if __name__ == "__main__":
    sys.exit(main(run))
