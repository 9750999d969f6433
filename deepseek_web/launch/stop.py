"""`make stop`: end the run that has the lock of a folder."""

import contextlib
import fcntl
import os
import signal
import time

from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.run import holder
from deepseek_web.launch.screen import say

STOP_SECONDS = 90


def is_running(folders: Folders) -> bool:
    if not folders.lock.exists():
        return False
    with folders.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def stop(folders: Folders) -> int:
    if not is_running(folders):
        say(f"Nothing is running with VAR={folders.var}.")
        return 0
    pid = int(holder(folders).get("pid", 0))
    if not pid:
        raise LaunchError(f"{folders.lock} does not say which process is running.")
    try:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise LaunchError(f"Process {pid} belongs to another user; stop it as that user.") from None
    deadline = time.monotonic() + STOP_SECONDS
    while is_running(folders):
        if time.monotonic() > deadline:
            raise LaunchError(f"Process {pid} does not end.")
        time.sleep(0.1)
    say("Stopped")
    return 0
