"""The models that classifiers are taught with: converted once by `workers.export`, while the pages answer already, and
registered when they are made."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.processes import dies_with_parent
from deepseek_web.launch.screen import say

READS = {
    "teach-texts": "texts", "teach-pictures": "images", "teach-clips": "clips", "teach-windows": "windows",
}  # fmt: skip
_FIRST = ("teach-texts", "teach-pictures")  # what an empty stamp stands for
NEEDED_GB = 1


class Lessons:
    """A running conversion, and then the registration of each. Whatever fails is said, and the installation goes on:
    the next start tries again."""

    def __init__(self, folders: Folders, environment: dict[str, str], stamp: Path) -> None:
        """`stamp` lies beside the data of the database that has them registered, and names them: those that were not
        there at the last start are made at this one, and no other is deployed once more."""
        self.folders, self.environment, self.stamp = folders, environment, stamp
        self.log = folders.log / "lessons.log"
        self.process: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        if os.environ.get("SKIP_MODEL") or os.environ.get("SKIP_LESSONS") or not self.missing:
            return
        self.folders.check_space(NEEDED_GB, "converting the models that are taught")
        # The last in line for the processor: pages and answers come first.
        command = ["nice", "-n", "10", *dies_with_parent("TERM"), sys.executable, "-m", "workers.export.few_shot"]
        command += [str(self.folders.artifacts), "--reads", *(READS[name] for name in self.missing)]
        self.process = subprocess.Popen(
            command, cwd=BASE_DIR, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log.open("w"),
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def go_on(self) -> None:
        """Looks whether the conversion has ended; called again and again."""
        if self.process is None or self.process.poll() is None:
            return
        is_made, self.process = self.process.returncode == 0, None
        if is_made and all(self._register(name) for name in self.missing):
            self.stamp.write_text("\n".join(READS))
            say("The models that classifiers are taught with are ready")
        else:
            say(f"The models that classifiers are taught with could not be made; {self.log} says why.")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def missing(self) -> list[str]:
        known = (self.stamp.read_text().split() or _FIRST) if self.stamp.exists() else ()
        return [name for name in READS if name not in known]

    def _register(self, name: str) -> bool:
        artifact = self.folders.artifacts / name
        title = json.loads((artifact / "manifest.json").read_text())["title"]
        command = [sys.executable, "manage.py", "register_model", "--artifact", str(artifact)]
        with self.log.open("a") as log:
            done = subprocess.run(
                [*command, "--name", name, "--title", title], cwd=BASE_DIR, env=self.environment, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        return done.returncode == 0
