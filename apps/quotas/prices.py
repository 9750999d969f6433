"""What use costs."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.audit.services import record
from apps.quotas import limits
from apps.quotas.models import Metric, Price


@dataclass(frozen=True, slots=True)
class Unit:
    """What people name a price for: nobody says what one token costs."""

    size: int
    words: object


UNITS = {
    Metric.REQUESTS: Unit(1000, _("1,000 requests")),
    Metric.INPUT_TOKENS: Unit(10**6, _("1 million input tokens")),
    Metric.OUTPUT_TOKENS: Unit(10**6, _("1 million output tokens")),
    Metric.COMPUTE_SECONDS: Unit(3600, _("1 hour of compute")),
}


@transaction.atomic
def set_price(
    *, deployment: str = "", metric: Metric, price: Decimal, actor: User | None, address: str | None = None
) -> Price:
    """`price` for the unit of the metric, from now on: what the ledger says already keeps what it cost. Without a
    deployment it is the price of all that have none of their own. Writes the audit log.

    Raises ValueError(`field: reason`).
    """
    if metric not in UNITS:
        raise ValueError("metric: has no price")
    if price < 0:
        raise ValueError("price: must not be negative")
    before = Price.objects.filter(deployment=deployment, metric=metric).first()
    each = price / UNITS[metric].size
    stored, _made = Price.objects.update_or_create(deployment=deployment, metric=metric, defaults={"per_unit": each})
    stored.refresh_from_db()
    record(
        action="price.set", target=stored, actor=actor, address=address, metric=metric, deployment=deployment,
        before=str(before.per_unit) if before else None, per_unit=str(stored.per_unit),
    )  # fmt: skip
    _changed()
    return stored


@transaction.atomic
def remove_price(*, price: Price, actor: User | None, address: str | None = None) -> None:
    """From now on the general price holds, or it costs nothing. Writes the audit log."""
    record(
        action="price.remove", target=price, actor=actor, address=address, metric=price.metric,
        deployment=price.deployment, per_unit=str(price.per_unit),
    )  # fmt: skip
    price.delete()
    _changed()


def _changed() -> None:
    """This process notices at once, others within a second."""
    limits.forget()
    transaction.on_commit(limits.forget)
