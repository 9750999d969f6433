"""Which worker loads which revision: a pure function of what is wanted, what is there, and where it is now.

Traffic goes before standing by; what is loaded stays where it is; replicas go to different workers, first to
those with fewest revisions. A standby revision makes room when one with traffic fits nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.messages import WorkerLease

Placements = dict[str, list[str]]  # revision key -> worker ids


@dataclass(frozen=True, slots=True)
class Wish:
    """A revision that should be loaded."""

    key: str
    need: int  # bytes
    replicas: int = 1
    weight: int = 0  # 0 stands by
    needs_gpu: bool = False
    failed_on: frozenset[str] = frozenset()  # workers that could not load it


@dataclass(slots=True)
class Plan:
    placements: Placements = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # why a revision has fewer workers than it wants


def place(wishes: Sequence[Wish], leases: Sequence[WorkerLease], current: Mapping[str, Sequence[str]]) -> Plan:
    """Bytes free on a worker count as taken by whatever is placed there and not loaded yet."""
    wishes = sorted(wishes, key=lambda wish: (-wish.weight, wish.key))
    room = _Room({wish.key: wish for wish in wishes}, leases)
    plan = Plan()
    for wish in wishes:
        kept = [worker for worker in current.get(wish.key, []) if worker in room.leases]
        kept.sort(key=lambda worker: (worker in wish.failed_on, not room.leases[worker].is_ready(wish.key)))
        plan.placements[wish.key] = kept[: wish.replicas]
        for worker in kept[: wish.replicas]:
            room.take(worker, wish)
    for wish in wishes:
        _fill(wish, plan, room)
    return plan


def _fill(wish: Wish, plan: Plan, room: "_Room") -> None:
    """Add workers until there are as many as wanted; a worker that failed makes way for one that has not."""
    mine = plan.placements[wish.key]
    able = room.able(wish, without=mine)
    while able and (failed := next((worker for worker in mine if worker in wish.failed_on), None)):
        mine[mine.index(failed)] = worker = able.pop(0)
        room.take(worker, wish)
    while able and len(mine) < wish.replicas:
        room.take(able[0], wish)
        mine.append(able.pop(0))
    if len(mine) < wish.replicas and wish.weight and (freed := _evict(wish, plan, room)):
        mine.append(freed)
    if len(mine) < wish.replicas:
        plan.reasons.setdefault(wish.key, _reason(wish, mine, room))


def _evict(wish: Wish, plan: Plan, room: "_Room") -> str | None:
    """Make room on one worker by sending standby revisions away from it."""
    for worker in room.leases:
        standby = [key for key, workers in plan.placements.items() if worker in workers and not room.wishes[key].weight]
        freed = room.free(worker, wish) + sum(room.wishes[key].need for key in standby)
        if standby and worker not in wish.failed_on and worker not in plan.placements[wish.key] and freed >= wish.need:
            for key in standby:
                plan.placements[key].remove(worker)
                plan.reasons[key] = "made room for a revision with traffic"
            room.take(worker, wish)
            return worker
    return None


def _reason(wish: Wish, mine: list[str], room: "_Room") -> str:
    others = [lease for lease in room.leases.values() if lease.worker_id not in mine]
    if not room.leases:
        return "no worker is running"
    if wish.needs_gpu and not any(lease.devices for lease in others):
        return "needs a GPU, no free worker has one"
    if not others:
        return f"{len(mine)} of {wish.replicas} workers are there"
    best = max(others, key=lambda lease: room.free(lease.worker_id, wish))
    if room.free(best.worker_id, wish) >= wish.need:
        return "failed on every worker that has room"
    free = max(0, room.free(best.worker_id, wish))
    return f"needs {gigabytes(wish.need)}, {gigabytes(free)} free on {best.host}"


class _Room:
    """Free memory of the workers while revisions are handed out to them."""

    def __init__(self, wishes: dict[str, Wish], leases: Sequence[WorkerLease]) -> None:
        self.wishes = wishes
        self.leases = {lease.worker_id: lease for lease in leases}
        self._taken = dict.fromkeys(self.leases, 0)
        self._count = dict.fromkeys(self.leases, 0)

    def take(self, worker: str, wish: Wish) -> None:
        self._count[worker] += 1
        report = self.leases[worker].revisions.get(wish.key)
        if report is None or report.state not in {"READY", "DRAINING"}:
            self._taken[worker] += wish.need

    def free(self, worker: str, wish: Wish) -> int:
        lease = self.leases[worker]
        if wish.needs_gpu:
            return max((int(device["memory_free"]) for device in lease.devices), default=0) - self._taken[worker]
        if not lease.memory_total:
            return 2**62  # a worker that does not say
        return lease.memory_free - self._taken[worker]

    def able(self, wish: Wish, without: Sequence[str]) -> list[str]:
        """Workers that can take it: fewest revisions first, then most free memory."""
        fit = [
            worker
            for worker in self.leases
            if worker not in without and worker not in wish.failed_on and self.free(worker, wish) >= wish.need
        ]
        return sorted(fit, key=lambda worker: (self._count[worker], -self.free(worker, wish), worker))


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
