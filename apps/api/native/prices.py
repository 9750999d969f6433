"""Prices: what use costs. For administrators."""

from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body, valid
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, who
from apps.quotas import prices
from apps.quotas.forms import PriceForm
from apps.quotas.models import Metric, Price
from apps.quotas.prices import UNITS

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Limits"])
MODEL = "Name of a deployment; empty is each that has no price of its own."


class PriceOut(Schema):
    id: int
    model: str = Field(description=MODEL)
    metric: Metric
    price: float = Field(description="Of one unit, in the organisation's currency.")
    unit: int = Field(description="How many of the metric make one: 1,000 requests, a million tokens, 3,600 seconds.")


class PriceIn(Body):
    model: str = Field("", max_length=80, description=MODEL)
    metric: Metric
    price: float = Field(ge=0, le=10**7, description="Of one unit; six digits behind the point count.")


def price_out(price: Price) -> PriceOut:
    size = UNITS[Metric(price.metric)].size if price.metric in UNITS else 1
    told = {"id": price.pk, "model": price.deployment, "metric": price.metric, "unit": size}
    return PriceOut(**told, price=float(price.per_unit * size))


@router.get("/prices", response=Page[PriceOut], summary="List prices")
@in_thread
def list_prices(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return page_of(Price.objects.all(), ("id",), paging, price_out)


@router.put("/prices", response=PriceOut, summary="Set a price")
@in_thread
def set_price(request: HttpRequest, payload: PriceIn) -> PriceOut:
    """From now on: what was used keeps what it cost."""
    told = {"deployment": payload.model, "metric": payload.metric, "price": round(Decimal(str(payload.price)), 6)}
    return price_out(prices.set_price(**valid(PriceForm(told)).cleaned_data, **who(request)))


@router.delete("/prices/{int:price_id}", response={204: None}, summary="Remove a price")
@in_thread
def remove_price(request: HttpRequest, price_id: int) -> None:
    """The general price holds from now on, or it costs nothing."""
    prices.remove_price(price=get_object_or_404(Price, pk=price_id), **who(request))
