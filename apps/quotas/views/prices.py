"""What use costs: set and removed on the page of limits."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.decorators import administrators_only
from apps.quotas import prices
from apps.quotas.forms import PriceForm
from apps.quotas.models import Price
from apps.quotas.views import limits
from apps.serving.acts import carry_out, who


@administrators_only
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    form = PriceForm(request.POST)
    if not form.is_valid():
        return limits.show(request, status=422, price_form=form)
    return carry_out(
        request,
        lambda: prices.set_price(**form.cleaned_data, **who(request)),
        _("Price set; it counts from now on"),
        to=reverse("quotas:limits"),
    )


@administrators_only
@require_POST
def remove(request: HttpRequest, price_id: int) -> HttpResponse:
    price = get_object_or_404(Price, pk=price_id)
    return carry_out(
        request,
        lambda: prices.remove_price(price=price, **who(request)),
        _("Price removed; what was used keeps what it cost"),
        to=reverse("quotas:limits"),
    )
