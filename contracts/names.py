"""Names of tasks, queues and Redis keys. Both sides take them from here and nowhere else.

Keys of one request share the hash tag `{request_id}`, so that one Lua script may touch them all
on a Redis cluster.
"""

# Celery tasks, sent by name because apps and workers never import each other.
INFER_TASK = "workers.infer"
SETTLE_TASK = "serving.settle"
SWEEP_TASK = "chat.sweep"
READ_BATCH_TASK = "classify.read"
SWEEP_BATCHES_TASK = "classify.sweep"
READ_PICTURES_TASK = "search.read"
READ_QUERY_PICTURE_TASK = "search.read_query"
FEED_INDEX_TASK = "search.feed"
TAKE_VECTORS_IN_TASK = "search.take_in"
MEASURE_INDEX_TASK = "search.measure"
SWEEP_SEARCH_TASK = "search.sweep"
FILL_DEMO_TASK = "search.fill_demo"
READ_EXAMPLES_TASK = "teach.read"
SWEEP_TEACH_TASK = "teach.sweep"
LOOK_AT_READINGS_TASK = "anomaly.look"
READ_READINGS_TASK = "anomaly.read"
SCORE_READINGS_TASK = "anomaly.score"
TAKE_SCORES_IN_TASK = "anomaly.take_in"
PREPARE_FIT_TASK = "anomaly.prepare_fit"
DELIVER_TASK = "anomaly.deliver"
SIMULATE_TASK = "anomaly.simulate"
WATCH_ANOMALY_TASK = "anomaly.watch"
TEND_ANOMALY_TASK = "anomaly.tend"
RECONCILE_TASK = "serving.reconcile"
RUN_JOB_TASK = "workers.run_job"
JOB_ENDED_TASK = "jobs.ended"
RECOVER_JOBS_TASK = "jobs.recover"
SWEEP_QUOTAS_TASK = "quotas.sweep"
ROLL_UP_TASK = "quotas.roll_up"

# Celery queues that exist before any deployment does.
APP_QUEUE = "app"
TRAIN_QUEUE = "train"  # jobs: import, export, training; one at a time a worker
IDLE_QUEUE = "idle"  # a worker with nothing loaded listens here; nothing is sent to it

# Kinds of jobs whose next attempt goes on from the last checkpoint.
JOBS_WITH_CHECKPOINTS = ("train", "adapt_model")

# How long the stream of a request can be resumed, in seconds.
STREAM_TTL = 3600
# A result is handed over at once and then only kept for who lost its connection, in seconds.
RESULT_TTL = 120
# What is known of a request at the least after its end (its hash), in seconds.
TIMELINE_TTL = 900
# A worker that has not refreshed its lease for this long is taken for dead, in seconds.
LEASE_TTL = 5
LEASE_REFRESH = 1

# Redis keys without an argument.
WORKERS_KEY = "workers"  # hash: worker id -> JSON WorkerLease
REVISIONS_KEY = "revisions:desired"  # hash: revision key -> JSON RevisionSpec
PLACEMENTS_KEY = "revisions:placements"  # hash: revision key -> JSON list of worker ids that shall have it
RECONCILED_KEY = "revisions:reconciled"  # JSON list of the workers that the placements were made for
LOADS_KEY = "revisions:loads"  # hash: load_field -> JSON {host, pid} of a load that has not proved itself yet
ROUTES_KEY = "deployments:routes"  # hash: deployment -> JSON Route
TOTALS_KEY = "stats:totals"  # hash: `revision counter` -> sum since the beginning, for /metrics
COMPUTE_KEY = "stats:compute"  # hash: revision -> milliseconds of compute that a request took lately, on average
ENDED_KEY = "requests:ended"  # list: request ids that wait to be settled
RESERVATIONS_KEY = "quota:reservations"  # hash: source of use -> JSON of what was reserved for it
REFUSALS_KEY = "quota:refusals"  # hash: `hour scope subject metric window` -> requests turned away
LIVE_REQUESTS_KEY = "requests:live"  # sorted set: request id by time of submission
ADMINISTRATORS = "administrators"  # in place of a user's id: what all of them hear
FRESH_ASSETS_KEY = "anomaly:fresh"  # set: ids of assets with readings that nobody has sent to be scored
WATCHING_KEY = "anomaly:watching"  # lock: somebody looks after assets and detectors
SCORING_KEY = "anomaly:scoring"  # string: somebody has been asked to send them, and has not begun
STOP_CHANNEL = "requests:stop"  # pub/sub: request id


def revision_key(deployment: str, number: int) -> str:
    """How one revision of a deployment is called everywhere."""
    return f"{deployment}@{number}"


def queue_name(revision: str, worker_id: str = "") -> str:
    """Celery queue of one revision; with a worker, the queue that only this worker takes from."""
    return f"revision.{revision}" + (f".{worker_id}" if worker_id else "")


def load_field(revision: str, generation: int, worker_id: str) -> str:
    """Field of LOADS_KEY. It outlives the worker, so three of dead workers say that the revision kills them."""
    return f"{revision}|{generation}|{worker_id}"


def live_key(revision: str) -> str:
    """Sorted set of the requests of one revision that have not ended, by time of arrival."""
    return f"requests:live:{revision}"


def stats_key(revision: str, bucket: int) -> str:
    """Hash of counters of one revision in one ten-second bucket (seconds since the epoch // 10)."""
    return f"stats:{revision}:{bucket}"


def job_key(job_id: str) -> str:
    """Hash of a job: payload, state (queued, running, done), worker, seen (time), cancel."""
    return f"job:{{{job_id}}}"


def job_stream_key(job_id: str) -> str:
    """Redis Stream of a job, entries as in the stream of a request: progress, log, result, error."""
    return f"job-stream:{{{job_id}}}"


def request_key(request_id: str) -> str:
    """Hash of a request: payload, attempt, worker, state, owner, revision, queue, stop, queued_at, seq, reply, keep,
    leases."""
    return f"request:{{{request_id}}}"


def stream_key(request_id: str) -> str:
    """Redis Stream of a request; the entry with seq n has the id `n-0`."""
    return f"stream:{{{request_id}}}"


def wake_key(hub_id: str) -> str:
    """Stream whose new entry interrupts the blocking read of a StreamHub."""
    return f"hub:{{{hub_id}}}:wake"


def user_events_key(user_id: object) -> str:
    """Stream of what happened to the things of one user, for all open tabs."""
    return f"events:{{{user_id}}}"


def asset_listener(asset_id: object) -> str:
    """In place of a user's id: what all hear who look at an asset."""
    return f"asset:{asset_id}"


def detector_state_key(detector_id: int) -> str:
    """Hash of what a detector remembers: fit, to (the newest reading it has seen), state."""
    return f"anomaly:state:{detector_id}"


def idempotency_key(owner: object, digest: str) -> str:
    """String: what an Idempotency-Key of one owner was first used for."""
    return f"idempotency:{owner}:{digest}"


def reply_channel(process: str) -> str:
    """Pub/sub channel of one web process: `request_id`, the seq before, then event and data in turn, split by \\x1f."""
    return f"replies:{process}"


def quota_key(scope: str, subject: str) -> str:
    """Hash of what was used: for each counter `metric:window` its head (newest bucket, or the period), under `=` its
    sum and, of one that slides, under `:place` each bucket."""
    return f"quota:{scope}:{subject}"


def quota_leases_key(scope: str, subject: str) -> str:
    """Sorted set of the requests that run now, by the time at which they must have ended; a member without a name is
    there as long as the set is known."""
    return f"quota-leases:{scope}:{subject}"
