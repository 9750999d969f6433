"""The lease of this worker in Redis, and those of dead processes of its machine."""

import os
import socket
import time
from dataclasses import asdict
from pathlib import Path

import redis

from contracts import names
from contracts.messages import RevisionReport, WorkerLease
from workers import hardware

_STARTED = time.time()


class Leases:
    def __init__(self, client: redis.Redis, worker_id: str) -> None:
        self._redis = client
        self._worker_id = worker_id

    def keep(self, revisions: dict[str, RevisionReport]) -> None:
        """Alive for another while, with these revisions."""
        lease = WorkerLease(
            worker_id=self._worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            expires=time.time() + names.LEASE_TTL,
            revisions=revisions,
            started_at=_STARTED,
            **asdict(hardware.look()),
        )
        self._redis.hset(names.WORKERS_KEY, self._worker_id, lease.to_json())

    def give_back(self) -> None:
        self._redis.hdel(names.WORKERS_KEY, self._worker_id)

    def bury_the_dead(self) -> bool:
        """A killed process of this machine need not be waited for: its lease ends now.

        True when Redis did not know this worker: it has just started, or Redis has lost its data.
        """
        leases = self._redis.hgetall(names.WORKERS_KEY)
        for row in leases.values():
            lease = WorkerLease.from_json(row)
            here = lease.host == socket.gethostname() and not Path(f"/proc/{lease.pid}").exists()
            if here or lease.expires < time.time() - 60:
                self._bury(lease)
        return self._worker_id.encode() not in leases

    def _bury(self, lease: WorkerLease) -> None:
        """Its own queues go with it; recovery has the requests that wait there sent to another."""
        queues = [names.queue_name(key, lease.worker_id) for key in lease.revisions]
        with self._redis.pipeline() as pipe:
            pipe.hdel(names.WORKERS_KEY, lease.worker_id)
            for queue in queues:
                pipe.delete(queue, f"_kombu.binding.{queue}")
            pipe.execute()
