"""The planner: which mesh a mixture of experts fits on. The whole question is in the address, to be shared."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.console.permissions import administrators_only
from apps.console.planning import address, form_of, plans_of, values_of
from contracts.mesh_plans import CALIBRATION, EXAMPLES
from contracts.mixture import active, parameters


@administrators_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    form = form_of(request.GET.dict())
    context = {
        "form": form,
        "examples": {f"example_{name}": address(values_of(one)) for name, one in EXAMPLES.items()},
        "calibration": CALIBRATION,
        "least_error": min(one.error for one in CALIBRATION),
        "most_error": max(one.error for one in CALIBRATION),
        "least_error_of_model": min(one.error_of_model for one in CALIBRATION),
    }
    if form.is_bound and form.is_valid():
        model = form.job.model
        context |= {
            "found": plans_of(form, request.GET.get("plan", "")),
            "cluster": form.cluster,
            "parameters": parameters(model).total(model.layers),
            "active": active(model),
        }
    return render(request, "console/plan.html", context, status=422 if form.errors else 200)
