"""The installation that is measured: processes of the Procfile on servers that keep nothing, which can be paused; or,
where processes have to come back by themselves, what `make run` starts (one that runs already, or one of its own)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.embedded import Embedded
from deepseek_web.launch.environment import for_children
from deepseek_web.launch.procfile import processes
from tests.e2e import stack as whole

EMAIL = "bench@example.com"


class Installation:
    """Use as a context manager. `names` are the processes that are started, `worker` the module of the worker."""

    def __init__(
        self,
        port: int,
        names: tuple[str, ...] = ("web", "worker", "worker-app", "beat"),
        worker: str = "workers.app",
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._names = names
        self._worker = worker
        self.servers = Embedded()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._port = port

    def __enter__(self) -> Self:
        self.servers.start()
        values = {**self.servers.environment(), "PORT": str(self._port), "HOST": "127.0.0.1"}
        self.environment = {**for_children(self.servers.var, {}), **values}
        self._shell = whole.Shell({**self.environment, "DJANGO_SETTINGS_MODULE": "deepseek_web.settings"})
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--no-input", "--verbosity", "0")
        self.manage("create_admin", "--email", EMAIL)
        self.key = self.manage("create_api_key", EMAIL).strip()
        log = (self.servers.var / "processes.log").open("wb")
        for name, command in processes().items():
            if name in self._names:
                self._processes[name] = subprocess.Popen(
                    ["sh", "-c", f"exec {command.replace('workers.app', self._worker)}"],
                    cwd=BASE_DIR,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        return self

    def __exit__(self, *exc: object) -> None:
        self._shell.close()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.servers.stop()

    def cpu_seconds(self) -> dict[str, float]:
        """What each process, with its children, has taken so far; the two servers too."""
        return {name: _cpu_seconds(pid) for name, pid in self._pids().items()}

    def memory_mb(self) -> dict[str, float]:
        """What each process holds with its children, memory that several share divided among them; the servers too."""
        return {name: _memory_mb(pid) for name, pid in self._pids().items()}

    def _pids(self) -> dict[str, int]:
        servers = {"postgresql": self.servers.processes["postgres"], "valkey": self.servers.processes["valkey"]}
        return {name: one.pid for name, one in {**self._processes, **servers}.items()}

    @property
    def log(self) -> str:
        return (self.servers.var / "processes.log").read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """Output of a management command. Raises RuntimeError."""
        return self._shell.ask(command=arguments)

    def wait_for(self, model: str, seconds: float = 180) -> None:
        """Until the deployment answers."""
        gives_up = time.monotonic() + seconds
        while time.monotonic() < gives_up:
            with suppress(OSError):
                if self._get(f"/v1/models/{model}").get("state") == "READY":
                    return
            time.sleep(0.2)
        raise RuntimeError(f"{model} was not ready in time:\n{self.log[-3000:]}")

    def deploy_fake(self, name: str, *, step_seconds: float) -> None:
        """A model without files for benchmarks.fake_worker; waits until it answers."""
        folder = self.var / "artifacts" / name
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"format": 1, "name": name, "title": name, "task": "text-generation", "context_length": 256}
        (folder / "manifest.json").write_text(json.dumps({**manifest, "step_seconds": step_seconds, "files": {}}))
        self.manage("register_model", "--artifact", str(folder), "--name", name, "--title", name)
        self.wait_for(name)

    def pid_of(self, name: str) -> int | None:
        """Of a process of the Procfile, while it runs."""
        process = self._processes[name]
        return process.pid if process.poll() is None else None

    def pause(self) -> None:
        """Take no time from who is measured now."""
        for process in self._processes.values():
            os.killpg(process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for process in self._processes.values():
            os.killpg(process.pid, signal.SIGCONT)

    @property
    def var(self) -> Path:
        """A folder that is gone at the end."""
        return self.servers.var

    def _get(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


@contextmanager
def supervised(url: str | None, var: Path) -> Iterator[whole.Stack]:
    """A stack with its administrator; one that was started here is stopped at the end."""
    if url:
        stack = whole.Stack(url, var)
    else:
        os.environ["E2E_VAR"] = str(var.resolve())
        stack = whole.start_stack()
    try:
        stack.manage("create_admin", "--email", whole.EMAIL, "--password", whole.PASSWORD)
        yield stack
    finally:
        if not url:
            stack.stop()


def _cpu_seconds(pid: int) -> float:
    """Of the process, its living descendants and those that were waited for."""
    root = psutil.Process(pid)
    return float(sum(sum(one.cpu_times()[:4]) for one in (root, *root.children(recursive=True))))


def _memory_mb(pid: int) -> float:
    """Processes that end meanwhile count nothing."""
    found, root = 0, psutil.Process(pid)
    for one in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            found += one.memory_full_info().pss
    return found / 1e6
