"""Adapting a chat model to conversations: the file with what is wrong in it, how to train, the adapter as a file."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.console import adapters
from apps.console.forms import AdaptForm, ConversationsForm
from apps.console.permissions import administrators_only, known_version
from apps.registry import adapting
from apps.registry.services import InvalidImport
from apps.serving.acts import refuse, who
from apps.serving.sentences import translated
from contracts.adaptation import BOUNDS
from contracts.conversations import LEAST, MOST_LINES, MOST_MB

_PREVIEW = 5  # conversations
_EXAMPLE = """\
{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}
{"prompt": "…", "completion": "…"}"""


@administrators_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """First a file, then, with its sha256 in the address, what is in it and how to train."""
    data, bases = request.GET.get("data", ""), adapting.bases()
    found = adapting.sent(data)
    if data and found is None:
        messages.error(request, _("The conversations are no longer there. Send the file again."))
    form = AdaptForm(bases=bases, initial={"data": data})
    return _shown(request, bases, found, form)


@administrators_only
@require_POST
def send(request: HttpRequest) -> HttpResponse:
    form = ConversationsForm(request.POST, request.FILES)
    if not form.is_valid():
        return refuse(request, form, to=reverse("console:adapt"))
    try:
        data = adapting.receive(upload=form.cleaned_data["upload"])
    except InvalidImport as error:
        messages.error(request, translated(str(error)))
        return redirect("console:adapt")
    return redirect(f"{reverse('console:adapt')}?data={data.sha256}")


@administrators_only
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start the job and go to its page; what is wrong is said beside its field."""
    bases = adapting.bases()
    form = AdaptForm(request.POST, bases=bases)
    if form.is_valid():
        try:
            job = adapting.start_adaptation(**form.given(), **who(request))
        except ValueError as error:  # InvalidImport names a field, JobRefused is a limit
            field = getattr(error, "field", "")
            form.add_error(field if field in form.fields else None, translated(str(error)))
        else:
            messages.success(request, _("The adaptation of %(name)s has begun") % {"name": job.arguments["name"]})
            return redirect("console:job", job_id=job.pk)
    return _shown(request, bases, adapting.sent(request.POST.get("data", "")), form, status=422)


@administrators_only
@require_safe
def adapter(request: HttpRequest, name: str, number: int) -> StreamingHttpResponse:
    return adapters.download(known_version(name, number))


def _shown(
    request: HttpRequest, bases: list[adapting.Base], found: adapting.Data | None, form: AdaptForm, status: int = 200
) -> HttpResponse:
    context = {
        "bases": bases,
        "data": found,
        "preview": found.read.found[:_PREVIEW] if found else [],
        "form": form,
        "bounds": BOUNDS,
        "example": _EXAMPLE,
        "least": LEAST,
        "most_lines": MOST_LINES,
        "most_mb": MOST_MB,
    }
    return render(request, "console/adapt.html", context, status=status)
