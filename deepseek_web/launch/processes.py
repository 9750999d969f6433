"""Looking at and ending processes by pid file."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import psutil

from deepseek_web.launch.errors import LaunchError


def running(pid_file: Path, marker: Path) -> int | None:
    """The pid in the first line of a file, when that process lives and has `marker` in its command line.

    After a crash or a reboot the number may belong to something else entirely.
    """
    try:
        pid = int(pid_file.read_text().split()[0])
        command = psutil.Process(pid).cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return pid if any(str(marker) in part for part in command) else None


def dies_with_parent(name: str) -> list[str]:
    """Command prefix: the kernel sends this signal when the parent ends in any way, so nothing is left over."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", name, "--"] if setpriv else []


def end(pid: int, first: signal.Signals, seconds: float) -> None:
    """Ask, wait, then force."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, first)
    if not gone(pid, seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if not gone(pid, 5):
            raise LaunchError(f"Process {pid} cannot be ended.")


def gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def listener(port: int) -> str:
    """Who listens on a TCP port, for a message; empty when that is not ours to see."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
