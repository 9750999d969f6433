"""supervisor, the process manager: its configuration, made from the Procfile, and its control."""

import contextlib
import http.client
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from typing import Any

from deepseek_web.env import BASE_DIR
from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.processes import dies_with_parent
from deepseek_web.launch.screen import last_words

APPLICATION = "application"  # the group of everything in the Procfile
STORES = "stores"

# %(here)s and %(ENV_...)s are filled in by supervisor after it has removed comments, so that paths may contain
# anything. Stores are started first and stopped last.
HEAD = """\
[supervisord]
nodaemon=true
logfile=%(here)s/../log/supervisor.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=%(here)s/supervisor.pid
user={user}
minfds=1024

[unix_http_server]
file=%(ENV_SOCKETS)s/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%(ENV_SOCKETS)s/supervisor.sock
"""

PROGRAM = """
[program:{name}]
command={command}
directory={directory}
autostart=false
autorestart=true
startsecs=1
startretries=10
stopsignal={signal}
stopwaitsecs={patience}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=%(here)s/../log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""

GROUP = """
[group:{name}]
programs={programs}
priority={priority}
"""


def configuration(*, stores: dict[str, list[str]], application: dict[str, str], user: str) -> str:
    """Text of supervisord.conf."""
    parts = [HEAD.format(user=user)]
    for name, arguments in stores.items():
        # Both take INT for "save what there is and go".
        settings = {"directory": "/", "signal": "INT", "patience": 60}
        parts.append(PROGRAM.format(name=name, command=escape(shlex.join(arguments)), **settings))
    for name, line in application.items():
        # The kernel ends a process whose supervisor was killed; nothing is left over.
        shell = f"exec {line}"
        command = escape(shlex.join([*dies_with_parent("TERM"), "sh", "-c", shell]))
        settings = {"directory": "%(ENV_ROOT)s", "signal": "TERM", "patience": 8}
        parts.append(PROGRAM.format(name=name, command=command, **settings))
    groups = {STORES: list(stores), APPLICATION: list(application)}
    for priority, (name, programs) in enumerate(groups.items(), start=1):
        if programs:
            parts.append(GROUP.format(name=name, programs=",".join(programs), priority=priority))
    return "".join(parts)


def escape(command: str) -> str:
    return command.replace("%", "%%")


def call(folders: Folders, method: str, *arguments: Any) -> Any:
    """Ask the supervisord that runs in `folders`. Raises LaunchError when it does not answer."""
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{folders.sockets}/supervisor.sock")
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)
    except (OSError, http.client.HTTPException) as error:
        log = folders.log / "supervisor.log"
        raise LaunchError(f"The process manager does not answer; {log} may say why.") from error


class Supervisor:
    """A running supervisord and the connection to it."""

    def __init__(self, folders: Folders, text: str, environment: dict[str, str]) -> None:
        self.folders = folders
        self.configuration = folders.run / "supervisord.conf"
        self.configuration.write_text(text, encoding="utf8")
        self.environment = {**environment, "ROOT": str(BASE_DIR), "SOCKETS": str(folders.sockets)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # A session of its own: Ctrl-C in the terminal reaches the launcher only, which then stops things in order.
        command = [
            *dies_with_parent("TERM"),
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "-c",
            str(self.configuration),
        ]
        output = (self.folders.log / "supervisord.out").open("wb")
        self.process = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        for _ in range(200):
            with contextlib.suppress(LaunchError):
                self.call("getPID")
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise LaunchError(f"The process manager does not start; {output.name} says why.")

    def call(self, method: str, *arguments: Any) -> Any:
        return call(self.folders, method, *arguments)

    def start_group(self, name: str) -> None:
        self.call("startProcessGroup", name, False)

    def start_program(self, group: str, name: str) -> None:
        self.call("startProcess", f"{group}:{name}", False)

    def states(self) -> dict[str, dict[str, Any]]:
        """Process name to what supervisor says of it."""
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def check(self) -> None:
        """Raise when a process has failed; only for the time of the start, later ones are started again."""
        for name, info in self.states().items():
            if info["statename"] == "FATAL" or (info["stop"] and info["exitstatus"] > 0):
                words = last_words(self.folders.log / f"{name}.log")
                raise LaunchError(f"{name} does not stay up. {self.folders.log / name}.log ends with:\n{words}")

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop everything in order and wait for it."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
