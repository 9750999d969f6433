"""Celery entry points of serving, on queue `app`."""

import structlog
from celery import shared_task
from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from apps.serving import guard, reconcile, recovery, services
from contracts import names

log = structlog.get_logger()


@shared_task(name=names.SETTLE_TASK)
def settle() -> None:
    services.settle_ended()


@shared_task(name=names.RECONCILE_TASK)
def reconcile_all() -> None:
    """Requests first, then deployments. One message a second instead of three: each costs the cores more than its work.

    What cannot be done now (a store is down) must not keep the rest from being done.
    """
    for act in (services.settle_ended, recovery.recover, reconcile.reconcile, guard.watch):
        try:
            act()
        except (OperationalError, InterfaceError, RedisError) as error:
            log.warning("no store, trying again in a second", act=act.__name__, error=str(error))
        except Exception:
            log.exception("trying again in a second", act=act.__name__)
