"""The bundled chat model: converted once by `workers.export`, in a process of its own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.processes import dies_with_parent
from deepseek_web.launch.screen import last_words

NAME, TITLE = "smollm2-135m", "SmolLM2 135M Instruct"
PRECISION = "int4"
NEEDED_GB = 2

Progress = Callable[[str, float], None]  # what is being done, and how much of it


def key() -> str:
    """Changes when the conversion or the weights may have changed."""
    found = hashlib.sha256(PRECISION.encode())
    for path in [*sorted((BASE_DIR / "workers/export").glob("*.py")), BASE_DIR / "requirements-nodeps.txt"]:
        found.update(path.read_bytes())
    return found.hexdigest()


def cached(folders: Folders) -> Path | None:
    """The artifact of an earlier start, when it is there and still what the exporter would make."""
    try:
        known = json.loads((folders.run / "chat_model.json").read_text())
    except (OSError, ValueError):
        return None
    artifact = Path(known["artifact"])
    return artifact if known["key"] == key() and (artifact / "manifest.json").exists() else None


class Export:
    """A running conversion."""

    def __init__(self, folders: Folders, environment: dict[str, str]) -> None:
        folders.check_space(NEEDED_GB, "converting the chat model")
        self.folders, self.log = folders, folders.log / "chat_model.log"
        command = [*dies_with_parent("TERM"), sys.executable, "-m", "workers.export.chat_model"]
        command += ["--out", str(folders.artifacts), "--precision", PRECISION, "--progress", "json"]
        # A session of its own: Ctrl-C is answered by the launcher, not by a traceback from here.
        self.process = subprocess.Popen(
            command, cwd=BASE_DIR, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.log.open("w"), text=True, start_new_session=True,
        )  # fmt: skip

    def wait(self, progress: Progress) -> Path:
        """Follow it to its end; the artifact is what its last line names."""
        assert self.process.stdout is not None
        last = ""
        for line in self.process.stdout:
            last = self.report(line.strip(), progress) or last
        if self.process.wait() or not last:
            raise LaunchError(f"The chat model could not be prepared. {self.log} ends with:\n{last_words(self.log)}")
        artifact = Path(last)
        known = {"key": key(), "artifact": str(artifact)}
        (self.folders.run / "chat_model.json").write_text(json.dumps(known))
        return artifact

    def report(self, line: str, progress: Progress) -> str:
        """Pass a line of progress on; any other line is handed back."""
        try:
            said = json.loads(line)
        except ValueError:
            return line
        if not isinstance(said, dict):
            return str(said)
        if "stage" in said:
            progress(said["stage"], said.get("fraction", 0.0))
        return str(said.get("artifact", ""))

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
