"""`make run` from start to end, without the model: what answers, what comes back, what is left over."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deepseek_web.launch import environment
from deepseek_web.launch.valkey import free_port

pytestmark = [pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[3]
OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "VAR_DIR", "DJANGO_SETTINGS_MODULE")


@dataclass
class Installation:
    var: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        return {**kept, "VAR": str(self.var), "PORT": str(self.port), "SKIP_MODEL": "1"}

    def launch(self, command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "deepseek_web.launch", command]
        settings = {**self.environment, **changes}
        return subprocess.run(arguments, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120)

    def start(self) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-m", "deepseek_web.launch", "run"]
        output = (self.var.parent / "output").open("w")
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=self.environment, stdout=output, stderr=output, start_new_session=True
        )
        wait_for(lambda: "Ready in" in self.output or process.poll() is not None, 90)
        assert process.poll() is None, self.output
        return process

    @property
    def output(self) -> str:
        return (self.var.parent / "output").read_text()

    def processes(self) -> dict[int, str]:
        """Pid to command line of everything that belongs to this installation."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get("VAR_DIR") == str(self.var) or str(self.var) in " ".join(process.cmdline()):
                    found[process.pid] = " ".join(process.cmdline())
            except psutil.Error:
                continue
        return found

    def find(self, words: str) -> list[int]:
        return sorted(pid for pid, command in self.processes().items() if words in command and "/sh" not in command)


def wait_for(condition: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    # pytest's folders are closed to others; PostgreSQL has to get through all the same.
    return Installation(tmp_path_factory.mktemp("launch") / "with blank", free_port())


@pytest.fixture(scope="module")
def running(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    process = installation.start()
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_pages_answer_and_password_is_told(installation: Installation, running: subprocess.Popen[str]) -> None:
    with urllib.request.urlopen(f"http://localhost:{installation.port}/healthz") as response:
        assert response.status == 200
    assert f"http://localhost:{installation.port}" in installation.output
    assert len(re.findall(r"First administrator: admin@example\.com  password: \S+", installation.output)) == 1


def test_settings_are_left_for_other_shells(installation: Installation, running: subprocess.Popen[str]) -> None:
    left = environment.read(installation.var / "env")
    assert {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "HOST", "PORT"} == set(left)
    command = [sys.executable, "manage.py", "create_admin", "--email", "second@example.com", "--password", "x" * 12]
    settings = {**installation.environment, "VAR_DIR": str(installation.var)}
    made = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert (made.returncode, made.stdout.strip()) == (0, "administrator: second@example.com")


def test_second_start_says_who_runs(installation: Installation, running: subprocess.Popen[str]) -> None:
    refused = installation.launch("run", PORT=str(free_port()))
    assert refused.returncode == 1
    assert f"Already running at http://localhost:{installation.port} (pid {running.pid})" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_taken_port_says_how_to_choose_another(
    installation: Installation, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    refused = installation.launch("run", VAR=str(tmp_path / "other"))
    assert refused.returncode == 1
    assert re.search(rf"Port {installation.port} is in use by .*make run PORT={installation.port + 1}", refused.stderr)
    assert not (tmp_path / "other/postgres").exists()


@pytest.mark.parametrize("name", ["workers.app", "uvicorn", "valkey-server"])
def test_killed_process_comes_back(name: str, installation: Installation, running: subprocess.Popen[str]) -> None:
    (before, *_) = installation.find(name)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: installation.find(name)[:1] not in ([], [before]), 30)


def test_stop_leaves_nothing_and_data_stay(installation: Installation, running: subprocess.Popen[str]) -> None:
    stopped = installation.launch("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Stopped\n")
    assert running.wait(10) == 0
    assert installation.processes() == {}
    again = installation.launch("stop")
    assert (again.returncode, again.stdout) == (0, f"Nothing is running with VAR={installation.var}.\n")

    process = installation.start()
    assert "password" not in installation.output
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    assert process.wait(60) == 0
    assert installation.processes() == {}


def test_killed_launcher_takes_everything_along(installation: Installation) -> None:
    process = installation.start()
    process.kill()
    process.wait()
    wait_for(lambda: installation.processes() == {}, 30)


@pytest.mark.slow
def test_killed_process_manager_takes_everything_along(installation: Installation) -> None:
    process = installation.start()
    (manager,) = installation.find("supervisor.supervisord")
    os.kill(manager, signal.SIGKILL)
    assert process.wait(30) == 1
    assert "The process manager ended" in installation.output
    # Redis is gone as well: a worker that has just started tries it again for a while before it ends.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: installation.processes() == {}, 60)
    assert installation.processes() == {}


def test_unreachable_database_is_a_sentence(installation: Installation, tmp_path: Path) -> None:
    failed = installation.launch(
        "run", VAR=str(tmp_path / "var"), PORT=str(free_port()), DATABASE_URL="postgresql://u@127.0.0.1:1/d"
    )
    assert failed.returncode == 1
    assert "The database cannot be used:" in failed.stderr
    assert "Traceback" not in failed.stderr
