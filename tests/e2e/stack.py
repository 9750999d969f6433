"""A whole installation for the browser tests: what `make run` starts, in a folder of its own."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EMAIL, PASSWORD = "browser@example.com", "a long enough phrase"
START_SECONDS = 900  # the first start converts the chat model


class Shell:
    """Management commands and code in one process in which Django is set up (shell.py); it ends with us."""

    def __init__(self, environment: dict[str, str], root: Path = ROOT, python: str = sys.executable) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "tests.e2e.shell"], cwd=root, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, **asked: object) -> str:
        """What `command` (a list) or `code` prints. Raises RuntimeError with its traceback."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["error"]:
            raise RuntimeError(f"{asked}: {answer['error']}")
        return str(answer["said"])

    def close(self) -> None:
        self._process.communicate()


@dataclass
class Stack:
    """A running installation. `var` is where its servers keep their data."""

    url: str
    var: Path
    process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> str:
        """Output of a management command on the installation's own servers."""
        return self._ask(command=arguments)

    def python(self, code: str) -> str:
        """What `code` prints, run where Django is set up."""
        return self._ask(code=code)

    def _ask(self, **asked: object) -> str:
        return self._shell.ask(**asked)

    @functools.cached_property
    def _shell(self) -> "Shell":
        return Shell({**environment(self.var), "DJANGO_SETTINGS_MODULE": "deepseek_web.settings"})

    def stop(self) -> None:
        if "_shell" in vars(self):
            self._shell.close()
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)


def start_stack() -> Stack:
    stack = begin_stack()
    wait_until_ready(stack)
    return stack


def begin_stack(var: Path | None = None, **settings: str) -> Stack:
    """Start everything on a free port; the converted model is kept in `var/e2e` for the next time."""
    var = var or Path(os.environ.get("E2E_VAR", ROOT / "var" / "e2e"))
    var.mkdir(parents=True, exist_ok=True)
    stack = Stack(f"http://localhost:{free_port()}", var)
    log = (var / "e2e.log").open("wb")
    stack.process = subprocess.Popen(
        [sys.executable, "-m", "deepseek_web.launch", "run"],
        cwd=ROOT,
        env={**environment(var), "PORT": stack.url.rpartition(":")[2], **settings},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return stack


def wait_until_ready(stack: Stack) -> None:
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        if stack.process is not None and stack.process.poll() is not None:
            raise RuntimeError(f"The stack ended at its start:\n{(stack.var / 'e2e.log').read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"{stack.url}/readyz", timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    stack.stop()
    raise RuntimeError("The stack was not ready in time.")


def environment(var: Path) -> dict[str, str]:
    """Ours without what the servers of the other tests have put into it."""
    foreign = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "PORT", "HOST", "ARTIFACTS_DIR"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, "VAR": str(var), "VAR_DIR": str(var), "SKIP_LESSONS": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
