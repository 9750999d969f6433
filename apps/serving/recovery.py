"""What a dead worker, a lost message or a withdrawn revision left behind is sent again or ended."""

import time

import structlog

from apps.serving import queries, requests, router, services, snapshot, stats
from contracts import names
from contracts.messages import ErrorType, InferenceRequest

log = structlog.get_logger()

# A message may wait in a long queue; it is lost only when the queue is empty and nobody has claimed it.
CLAIM_TIME = 5.0
# A place that was taken within a transaction which was then rolled back.
RESERVE_TIME = 30.0
# A request that ends its worker each time before a token is written must not end them all.
MAX_WASTED = 4


def recover(*, now: float | None = None) -> list[str]:
    """Send again what nobody serves any more; returns the request ids.

    A request whose deadline has passed is ended, a finished one that nobody settled is settled, and who waits
    in a queue is told the place and how long it will take. Settling comes last: it alone needs the database.
    """
    now = now or time.time()
    records = requests.live_records()
    state = snapshot.take()
    requests.drop_strays(_revisions(records, state), {record.request_id for record in records})
    alive = {lease.worker_id for lease in state.leases}
    sent, waiting, ended = [], [], []
    for record in records:
        if record.state == "done":
            ended.append(record.request_id)
        elif record.state == "reserved":
            if now - record.queued_at > RESERVE_TIME:
                services.discard(record.request_id, record.revision)
        elif _is_orphan(record, alive, state, now):
            (sent if _send_again(record, state, now) else ended).append(record.request_id)
        elif record.state == "queued":
            waiting.append(record)
    _tell_places(waiting)
    services.settle_all(ended)
    return sent


def _revisions(records: list[requests.Record], state: snapshot.Snapshot) -> list[str]:
    routed = {one.key for route in state.routes.values() for one in route.revisions}
    return sorted(routed | {record.revision for record in records})


def _is_orphan(record: requests.Record, alive: set[str], state: snapshot.Snapshot, now: float) -> bool:
    if record.state == "running":
        return record.worker not in alive
    if _waits_for_the_dead(record, alive) or not _is_routed(record.revision, state):
        return True
    return now - record.queued_at > CLAIM_TIME


def _waits_for_the_dead(record: requests.Record, alive: set[str]) -> bool:
    """Whether the message lies in the queue of one worker that is gone."""
    worker = record.queue.removeprefix(names.queue_name(record.revision)).removeprefix(".")
    return bool(worker) and worker not in alive


def _is_routed(revision: str, state: snapshot.Snapshot) -> bool:
    return not state.is_known or any(one.key == revision for route in state.routes.values() for one in route.revisions)


def _send_again(record: requests.Record, state: snapshot.Snapshot, now: float) -> bool:
    """False when it was ended instead, or is where it should be."""
    request = requests.payload_of(record.request_id)
    if request is None:
        return False
    if now > request.deadline:
        return _end(record, ErrorType.DEADLINE_EXCEEDED, "The time for this answer ran out.")
    if record.wasted >= MAX_WASTED:
        return _end(record, ErrorType.INTERNAL, f"{record.wasted + 1} workers ended while they served this request.")
    revision = _new_home(request, state)
    if not revision:
        return _end(record, ErrorType.INTERNAL, "The model that was answering has been withdrawn. Ask again.")
    if _is_still_queued(record, revision, state):
        return False
    resumed = requests.retry(record, revision=revision)
    if resumed is None:
        return False
    log.warning("request sent again", request_id=record.request_id, attempt=resumed.attempt, worker=record.worker)
    services.send(resumed)
    return True


def _is_still_queued(record: requests.Record, revision: str, state: snapshot.Snapshot) -> bool:
    """Whether the message may be in a queue that somebody takes from."""
    if record.state != "queued" or revision != record.revision:
        return False
    alive = {lease.worker_id for lease in state.leases}
    return not _waits_for_the_dead(record, alive) and bool(queries.queue_length(record.queue))


def _new_home(request: InferenceRequest, state: snapshot.Snapshot) -> str:
    """The revision that goes on with a request: its own while that is wanted, for tokens mean something to no
    other; for a request that has no token yet also another that is ready. Empty when there is none."""
    own = _is_routed(request.revision, state)
    if own and any(lease.is_ready(request.revision) for lease in state.leases):
        return request.revision
    route = state.routes.get(request.deployment)
    has_begun = requests.transcript(request.request_id).token_ids
    if route is not None and not has_begun:
        point = router.point_of(request.conversation or request.request_id)
        if other := router.choose_revision(route, state.leases, point):
            return other.key
    return request.revision if own else ""


def _end(record: requests.Record, error: ErrorType, message: str) -> bool:
    requests.fail(record.request_id, error, message)
    return False


def _tell_places(waiting: list[requests.Record]) -> None:
    """Place in the queue of the revision and, from the rate of the last minute, the seconds until it is its turn."""
    by_revision: dict[str, list[requests.Record]] = {}
    for record in waiting:
        by_revision.setdefault(record.revision, []).append(record)
    for revision, figures in stats.over(by_revision).items():
        rate = figures.per_second
        for position, record in enumerate(by_revision[revision]):
            seconds = (position + 1) / rate if rate else None
            requests.tell_waiting(record.request_id, position=position, seconds=seconds)
