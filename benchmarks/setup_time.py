"""From a fresh clone to the first answer: python -m benchmarks.setup_time [--venv .venv]

Clones the commit that is checked out into a temporary folder and does there what the README says: `make run`, with
packages fetched anew (no cache of pip's), an empty database and the chat model converted; then the first administrator
signs in with the password that the start tells and asks on the chat page, over HTTP. The answer is there when it is
stored with its text. With --venv the packages are those of a virtual environment that is there already: that is no
first start, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environment import commit, environment
from benchmarks.fresh import Clone, Moments
from benchmarks.site import Site

RESULT = Path(__file__).parent / "results" / "setup.json"
QUESTION, TOKENS = "What is the capital of France?", 32
ANSWER_SECONDS = 300.0


def measure(venv: Path | None) -> dict[str, Any]:
    began = time.monotonic()
    with Clone(venv) as clone:
        clone.environment["PIP_NO_CACHE_DIR"] = "1"
        cloned = time.monotonic() - began
        files = {"packages": clone.root / ".venv/.runtime", "chat_model": clone.var / "run/chat_model.json"}
        moments = Moments(files)
        moments.start()
        started = clone.start()
        moments.stop()
        ready = time.monotonic() - began
        text = first_answer(clone)
        answered = time.monotonic() - began
        password_told = clone.administrator()[1] != ""
    at = {name: seconds for name, seconds in moments.found.items() if venv is None or name != "packages"}
    packages, model = at.get("packages", 0.0), at["chat_model"]
    steps = {
        "clone": cloned, "packages": packages, "database_and_chat_model": model - packages,
        "processes_until_ready": started - model, "sign_in_and_first_answer": answered - ready,
    }  # fmt: skip
    return {
        "minutes_to_first_answer": round(answered / 60, 2),
        "steps_s": {name: round(one, 1) for name, one in steps.items()},
        "answer": text, "password_told": password_told, "packages_fetched": venv is None,
    }  # fmt: skip


def first_answer(clone: Clone) -> str:
    """The text of an answer on the chat page. Raises RuntimeError when there is none."""
    site = Site(clone.url, *clone.administrator())
    site.get("/chat/")
    sent = site.post("/chat/send/", data={"deployment": "smollm2-135m", "text": QUESTION, "max_tokens": TOKENS})
    sent.raise_for_status()
    page = json.loads(sent.headers["HX-Location"])["path"]
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        for message in site.get(f"{page}export/json/").json()["messages"]:
            if message["role"] == "assistant" and message["status"] not in ("waiting", "done"):
                raise RuntimeError(f"the answer is {message}")
            if message["role"] == "assistant" and message["text"]:
                return str(message["text"])
        time.sleep(0.1)
    raise RuntimeError(f"no answer after {ANSWER_SECONDS:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, help="installed packages, instead of fetching them")
    parser.add_argument("--note", default="", help="about the machine: loaded, quiet")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    before = [round(one, 1) for one in psutil.getloadavg()]
    found = measure(options.venv)
    result = {
        "summary": {"minutes_to_first_answer": found["minutes_to_first_answer"]}, "details": found,
        "note": options.note, "load_average_before": before,
        "environment": environment(("torch", "onnxruntime", "django")),
        "command": "python -m benchmarks.setup_time " + " ".join(sys.argv[1:]), "commit": commit(),
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
