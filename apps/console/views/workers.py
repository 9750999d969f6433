"""Who serves: one panel a worker, from the leases."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.console import inventory
from apps.console.permissions import administrators_only
from contracts.names import LEASE_TTL


@administrators_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    found = inventory.worker_rows(timezone.now().timestamp())
    context = {"workers": found, "lease_ttl": LEASE_TTL}
    part = request.GET.get("part") == "live"
    return render(request, "console/_workers_live.html" if part else "console/workers.html", context)
