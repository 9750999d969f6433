"""A whole installation for a measurement: servers that keep nothing and the processes of the Procfile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.embedded import Embedded
from deepseek_web.launch.environment import for_children
from deepseek_web.launch.procfile import processes

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
        self._servers = Embedded()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._port = port

    def __enter__(self) -> Self:
        self._servers.start()
        values = {**self._servers.environment(), "PORT": str(self._port), "HOST": "127.0.0.1"}
        self.environment = {**for_children(self._servers.var, {}), **values}
        self.manage("migrate", "--verbosity", "0")
        self.manage("create_admin", "--email", EMAIL)
        self.key = self.manage("create_api_key", EMAIL).strip()
        log = (self._servers.var / "processes.log").open("wb")
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
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._servers.stop()

    def cpu_seconds(self) -> dict[str, float]:
        """What each process, with its children, has taken so far; the two servers too."""
        servers = dict(zip(("postgresql", "valkey"), self._servers.processes, strict=True))
        return {name: _cpu_seconds(one.pid) for name, one in {**self._processes, **servers}.items()}

    @property
    def log(self) -> str:
        return (self._servers.var / "processes.log").read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def wait_for(self, model: str, seconds: float = 180) -> None:
        """Until the deployment answers."""
        gives_up = time.monotonic() + seconds
        while time.monotonic() < gives_up:
            with suppress(OSError):
                if self._get(f"/v1/models/{model}").get("state") == "READY":
                    return
            time.sleep(0.2)
        raise RuntimeError(f"{model} was not ready in time:\n{self.log[-3000:]}")

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
        return self._servers.var

    def _get(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


def _cpu_seconds(pid: int) -> float:
    """Of the process, its living descendants and those that were waited for."""
    root = psutil.Process(pid)
    return float(sum(sum(one.cpu_times()[:4]) for one in (root, *root.children(recursive=True))))
