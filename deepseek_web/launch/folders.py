"""Where one installation keeps what it writes (`VAR`)."""

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.errors import LaunchError

# Linux allows 107 bytes for the path of a unix socket; the rest of the name needs up to 40.
LONGEST_SOCKET_FOLDER = 67
# There from the first start, so that backups find them (docs/operations/backup.md) and models can be put there.
KEPT = ("media", "artifacts", "imports")


@dataclass(frozen=True)
class Folders:
    """Paths below `var`, which is absolute."""

    var: Path

    @classmethod
    def at(cls, name: str) -> "Folders":
        """`name` as the user gave it; relative to the checkout."""
        var = (BASE_DIR / Path(name).expanduser()).resolve()
        for path in (var, BASE_DIR):
            if " ;" in str(path) or " #" in str(path):  # supervisor takes that for the start of a comment
                raise LaunchError(f"The name of the folder {path} cannot be used: remove the blank before ; or #.")
        return cls(var)

    @property
    def run(self) -> Path:
        """Pid files and generated configuration."""
        return self.var / "run"

    @property
    def log(self) -> Path:
        return self.var / "log"

    @property
    def artifacts(self) -> Path:
        return self.var / "artifacts"

    @property
    def lock(self) -> Path:
        return self.run / "launch.lock"

    @property
    def sockets(self) -> Path:
        """Folder for unix sockets: `run`, or one with a short name when that path is too long."""
        if len(os.fsencode(self.run)) <= LONGEST_SOCKET_FOLDER:
            return self.run
        name = hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"deepseek-web-{os.getuid()}-{name}"

    def create(self) -> None:
        try:
            for folder in (self.var, self.run, self.log, self.sockets, *(self.var / name for name in KEPT)):
                folder.mkdir(parents=True, exist_ok=True)
            if self.sockets != self.run:
                check_owner(self.sockets)
            self.log.chmod(0o700)
            for folder in {self.run, self.sockets}:
                folder.chmod(0o711)  # PostgreSQL, which is never root, passes through
            with tempfile.TemporaryFile(dir=self.run):
                pass
        except OSError as error:
            raise LaunchError(
                f"VAR={self.var} cannot be written: {error.strerror} ({error.filename}). "
                "Choose another folder: make run VAR=/path/to/folder"
            ) from None

    def check_space(self, needed_gb: float, purpose: str) -> None:
        free = shutil.disk_usage(self.var).free / 1e9
        if free < needed_gb:
            raise LaunchError(
                f"{free:.1f} GB are free on the disk of {self.var}; {purpose} needs {needed_gb:g} GB. "
                "Free some space, or choose another folder: make run VAR=/path/to/folder"
            )


def check_owner(folder: Path) -> None:
    """Refuse a folder of sockets that somebody else prepared for us in a shared place."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.getuid():
        raise LaunchError(f"{folder} belongs to another user. Choose a folder with a shorter name for VAR.")
