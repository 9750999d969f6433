"""Where the pages are served, and whether they are."""

import errno
import os
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass

from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.processes import listener


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @classmethod
    def from_environment(cls) -> "Address":
        text = os.environ.get("PORT") or "8000"
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise LaunchError(f"PORT must be a number from 1 to 65535, not {text!r}.")
        return cls(host=os.environ.get("HOST") or "127.0.0.1", port=int(text))

    @property
    def url(self) -> str:
        """What a browser on this machine opens."""
        everywhere = self.host in {"0.0.0.0", "::", "127.0.0.1"}
        return f"http://{'localhost' if everywhere else self.host}:{self.port}"

    def check_free(self) -> None:
        """Say by whom the port is taken rather than let a server fail later."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise LaunchError(self.explain(error)) from None

    def explain(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            who = listener(self.port)
            by = f"by {who}" if who else "by another program"
            return f"Port {self.port} is in use {by}. Stop it, or choose another: make run PORT={self.port % 65535 + 1}"
        if error.errno == errno.EACCES:
            return f"Port {self.port} needs root. Choose one above 1023: make run PORT=8000"
        return f"HOST={self.host} cannot be listened on: {error.strerror or error}."

    def answers(self, path: str) -> bool:
        """Whether a page is served with status 200 right now."""
        inside = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        request = urllib.request.Request(f"http://{inside}:{self.port}{path}")
        # As a proxy would ask: with a host name that is allowed and, for HTTPS=1, without a redirect.
        allowed = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
        request.add_header("Host", allowed if allowed.strip("*") else "localhost")
        request.add_header("X-Forwarded-Proto", "https")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False
