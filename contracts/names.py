"""Names of tasks, queues and Redis keys. Both sides take them from here and nowhere else.

Keys of one request share the hash tag `{request_id}`, so that one Lua script may touch them all
on a Redis cluster.
"""

# Celery tasks, sent by name because apps and workers never import each other.
INFER_TASK = "workers.infer"
SETTLE_TASK = "serving.settle"
RECOVER_TASK = "serving.recover"
SWEEP_TASK = "chat.sweep"

# Celery queues that exist before any deployment does.
APP_QUEUE = "app"
IDLE_QUEUE = "idle"  # a worker with nothing loaded listens here; nothing is sent to it

# How long the stream of a request can be resumed, in seconds.
STREAM_TTL = 3600
# A worker that has not refreshed its lease for this long is taken for dead, in seconds.
LEASE_TTL = 5
LEASE_REFRESH = 1

# Redis keys without an argument.
WORKERS_KEY = "workers"  # hash: worker id -> JSON WorkerLease
DEPLOYMENTS_KEY = "deployments:desired"  # hash: deployment -> JSON DeploymentSpec
LIVE_REQUESTS_KEY = "requests:live"  # sorted set: request id by time of submission
STOP_CHANNEL = "requests:stop"  # pub/sub: request id


def queue_name(deployment: str) -> str:
    """Celery queue of one deployment."""
    return f"deployment.{deployment}"


def request_key(request_id: str) -> str:
    """Hash of a request: payload, attempt, worker, state, owner, stop."""
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
