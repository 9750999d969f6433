"""Evidence in Redis of loads that have not proved themselves, so that a revision which kills its worker each time
is given up on instead of killing it for ever.

A load is written down before it begins and crossed out once the revision has served a step, or stood for a
while. What dead processes of this machine have left there is how often it has killed one.
"""

import json
import os
import socket
from pathlib import Path

import redis

from contracts import names
from contracts.messages import RevisionSpec
from workers import hardware
from workers.loaded import LoadRefused

TRIES = 3


class Loads:
    def __init__(self, client: redis.Redis, worker_id: str) -> None:
        self._redis = client
        self._worker_id = worker_id

    def begin(self, spec: RevisionSpec) -> None:
        """Raises LoadRefused for one that has killed its process too often, or that does not fit into the memory."""
        if (deaths := self.deaths(spec)) >= TRIES:
            raise LoadRefused(f"{deaths} worker processes ended while they loaded or first ran it; out of memory?")
        free = hardware.look().memory_free
        if spec.memory_bytes > free:
            needs, has = spec.memory_bytes / 1e9, free / 1e9
            raise LoadRefused(f"needs {needs:.1f} GB, {has:.1f} GB free on {socket.gethostname()}")
        field = names.load_field(spec.key, spec.generation, self._worker_id)
        value = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
        self._redis.hset(names.LOADS_KEY, field, value)

    def deaths(self, spec: RevisionSpec) -> int:
        """How many processes of this machine have died of this generation since it last worked."""
        return sum(not Path(f"/proc/{pid}").exists() for field, pid in self._here() if _is_of(field, spec))

    def worked(self, spec: RevisionSpec) -> None:
        """It can be loaded and run on this machine: what was held against it is forgotten."""
        if fields := [field for field, _ in self._here() if field.startswith(f"{spec.key}|")]:
            self._redis.hdel(names.LOADS_KEY, *fields)

    def ended(self, spec: RevisionSpec) -> None:
        """It failed in a way that did not end the process, or was let go."""
        self._redis.hdel(names.LOADS_KEY, names.load_field(spec.key, spec.generation, self._worker_id))

    def _here(self) -> list[tuple[str, int]]:
        rows = {field.decode(): json.loads(value) for field, value in self._redis.hgetall(names.LOADS_KEY).items()}
        return [(field, row["pid"]) for field, row in rows.items() if row["host"] == socket.gethostname()]


def _is_of(field: str, spec: RevisionSpec) -> bool:
    return field.startswith(f"{spec.key}|{spec.generation}|")
