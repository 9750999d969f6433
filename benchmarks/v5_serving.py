"""Teaching through the whole stack, and many taught classifiers on one worker.

python -m benchmarks.v5_serving [--classifiers 200] [--lessons 15] [--rounds 4] [--seconds 5] [--port 8130]

Texts are AG News test texts (DATA_DIR, default ../shared/data), two topics with five examples each: ten examples.

- `seconds_to_first_prediction`: from pressing Teach to the page with the judgement, and then to the first answer, as a
  browser asks for them over HTTP. Median and worst of the lessons.
- `memory_mb_200_classifiers`: what the worker takes more after all classifiers were asked than after one was, with the
  same number of requests.
- `throughput_loss`: what all in turn are slower than one, of one text a request over keys, eight connections; rounds
  alternate, medians.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import re
import statistics
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from benchmarks import load
from benchmarks.environment import commit, environment
from benchmarks.inhabited import CLASSIFIERS
from benchmarks.installation import Installation
from contracts.few_shot import TEXTS
from workers.data import corpus
from workers.export.few_shot import NAMES, TITLES, prepare

RESULTS = Path(__file__).parent / "results" / "teach.json"
EMAIL, PASSWORD = "teacher@example.com", "a long enough phrase"
PACKAGES = ("onnxruntime", "django", "celery", "uvicorn")
TOPICS = ("World", "Sports")
EACH = 5  # examples of a topic
CONNECTIONS = 8


class Browser:
    """Pages as somebody who is signed in asks for them."""

    def __init__(self, url: str) -> None:
        self.url = url
        jar = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open
        self._token = ""
        self.get("/accounts/login/")
        self.post("/accounts/login/", login=EMAIL, password=PASSWORD)
        self.get("/teach/")

    def get(self, path: str) -> str:
        with self._open(self.url + path, timeout=60) as answer:
            page: str = answer.read().decode()
        if found := re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page):
            self._token = found[1]
        return page

    def post(self, path: str, **values: str) -> str:
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": self._token, **values}).encode()
        request = urllib.request.Request(self.url + path, body, {"Referer": self.url + path})
        with self._open(request, timeout=60) as answer:
            page: str = answer.read().decode()
        return page


def main() -> None:
    options = _options()
    texts = _texts()
    with Installation(options.port) as installation:
        artifact = prepare(TEXTS, options.artifacts.resolve())
        name = NAMES[TEXTS]
        installation.manage("register_model", "--artifact", str(artifact), "--name", name, "--title", TITLES[TEXTS])
        installation.wait_for(name)
        installation.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
        key = installation.manage("create_api_key", EMAIL).strip()
        first = _lessons(installation, texts, options.lessons)
        print(f"teach {first['teach']}, answer {first['answer']}", file=sys.stderr)
        many = _many(installation, texts, key, options)
    summary = {"seconds_to_first_prediction": first["both"]["median"], **many.pop("summary")}
    found = {
        "summary": summary, "details": {**first, **many}, "environment": environment(PACKAGES),
        "commit": commit(), "load_before": options.load,
        "note": "Two cores, on which other work ran at the same time: the load average at the start is told.",
        "command": "python -m benchmarks.v5_serving " + " ".join(sys.argv[1:]),
    }  # fmt: skip
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def _lessons(installation: Installation, texts: dict[str, list[str]], count: int) -> dict[str, Any]:
    browser = Browser(installation.url)
    teach, answer = [], []
    for number in range(count):
        page = _new(browser, number, _lesson(texts, number))
        began = time.perf_counter()
        shown = browser.post(f"/teach/classifiers/{page}/teach/")
        teach.append(time.perf_counter() - began)
        while "each left out once" not in shown:
            shown = browser.get(f"/teach/classifiers/{page}/")
        told = browser.post("/teach/ask/", classifier=page, text=texts[TOPICS[0]][-1 - number])
        answer.append(time.perf_counter() - began - teach[-1])
        assert "data-told" in told
    both = [one + other for one, other in zip(teach, answer, strict=True)]
    return {name: _spread(each) for name, each in (("teach", teach), ("answer", answer), ("both", both))}


def _new(browser: Browser, number: int, lesson: dict[str, list[str]]) -> str:
    """Id of a classifier with its examples."""
    shown = browser.post("/teach/new/", name=f"Lesson {number}", reads=TEXTS, labels="\n".join(lesson))
    found = re.search(r"/teach/classifiers/([0-9a-f-]{36})/teach/", shown)
    assert found, shown[:2000]
    for label, each in lesson.items():
        option = re.search(rf'<option value="(\d+)">{label}</option>', shown)
        assert option
        browser.post(f"/teach/classifiers/{found[1]}/texts/", label=option[1], texts="\n".join(each))
    return found[1]


def _many(
    installation: Installation, texts: dict[str, list[str]], key: str, options: argparse.Namespace
) -> dict[str, Any]:
    lessons = [_lesson(texts, 100 + number) for number in range(options.classifiers)]
    written = installation.var / "lessons.json"
    written.write_text(json.dumps(lessons))
    said = installation.manage(
        "shell", "--verbosity", "0", "--command", CLASSIFIERS.format(email=EMAIL, lessons=str(written))
    )
    made = json.loads(said.partition("MADE ")[2])
    asked = [text for topic in TOPICS for text in texts[topic][-400:]]
    headers = {"Authorization": f"Bearer {key}"}

    def requests(ids: list[str]) -> list[bytes]:
        return [
            load.post(f"/api/v1/classifiers/{ids[at % len(ids)]}/predict", {"texts": [text]}, headers)
            for at, text in enumerate(asked)
        ]

    one, all_of_them = requests(made[:1]), requests(made)
    rounds: dict[str, list[dict[str, Any]]] = {"one": [], "all": []}
    load.run(options.port, one, connections=CONNECTIONS, warm_up=1.0, seconds=options.seconds)
    before = _megabytes(installation)
    for number in range(options.rounds):
        order = (("one", one), ("all", all_of_them))
        for name, some in order[:: 1 if number % 2 else -1]:
            rounds[name].append(
                load.run(options.port, some, connections=CONNECTIONS, warm_up=0.5, seconds=options.seconds)
            )
    after = _megabytes(installation)
    rates = {name: statistics.median(each["requests_per_s"] for each in found) for name, found in rounds.items()}
    return {
        "summary": {
            f"memory_mb_{len(made)}_classifiers": round(after - before, 1),
            "throughput_loss": round(1 - rates["all"] / rates["one"], 3),
        },
        "classifiers": len(made), "worker_mb": round(after, 1),
        "throughput": {
            **{name: round(rate, 1) for name, rate in rates.items()},
            "rounds": {name: [round(each["requests_per_s"], 1) for each in found] for name, found in rounds.items()},
            "failed": sum(each["failed"] for found in rounds.values() for each in found),
        },
    }  # fmt: skip


def _lesson(texts: dict[str, list[str]], number: int) -> dict[str, list[str]]:
    return {topic: texts[topic][EACH * number :][:EACH] for topic in TOPICS}


def _megabytes(installation: Installation) -> float:
    pid = installation.pid_of("worker")
    assert pid is not None
    root = psutil.Process(pid)
    return sum(one.memory_info().rss for one in (root, *root.children(recursive=True))) / 1e6


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 3), "worst": round(max(seconds), 3)}


def _texts() -> dict[str, list[str]]:
    found = corpus.load("agnews")
    return {
        topic: [" ".join(text.split()) for text, label in found.test if found.labels[label] == topic]
        for topic in TOPICS
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifiers", type=int, default=200)
    parser.add_argument("--lessons", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--port", type=int, default=8130)
    parser.add_argument("--artifacts", type=Path, default=Path("var/artifacts"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.load = [round(one, 1) for one in psutil.getloadavg()]
    return options


if __name__ == "__main__":
    main()
