"""Limits as people read them."""

from datetime import timedelta

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.quotas.admission import LimitReached
from apps.quotas.limits import Counter, LimitsUnknown
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.people import subject_label, those_in_charge
from apps.serving.services import NoWorker, UnknownDeployment, WrongTask

# What keeps work that nobody waits for from being sent now; it is tried again later, and `why` says what it waits for.
NOT_NOW = (LimitReached, LimitsUnknown, NoWorker, UnknownDeployment, WrongTask)

_SUBJECTS = {
    Scope.ORGANIZATION: gettext_lazy("The organisation"),
    Scope.TEAM: gettext_lazy("The team %(name)s"),
    Scope.USER: gettext_lazy("Your account"),
    Scope.KEY: gettext_lazy("The API key %(name)s"),
}


def subject_words(scope: Scope, subject: str) -> str:
    """Who has used something; the subject is the account of whoever reads it, or something larger."""
    return str(_SUBJECTS[scope]) % {"name": subject_label(scope, subject)}


def limit_words(counter: Counter) -> str:
    """`30 requests a minute`."""
    amount = counter.limit.amount or 0
    if counter.metric == Metric.STORED_BYTES:
        return _("%(amount)s MB stored") % {"amount": number_format(amount / 1e6, decimal_pos=0, force_grouping=True)}
    words = {"amount": number_format(amount, force_grouping=True), "metric": Metric(counter.metric).label}
    if counter.window == Window.NOW:
        return f"{words['amount']} {words['metric']}"
    return _("%(amount)s %(metric)s %(window)s") % {**words, "window": Window(counter.window).label}


def why(error: Exception) -> str:
    """One of NOT_NOW."""
    return refusal_words(error) if isinstance(error, LimitReached) else str(error)


def refusal_words(error: LimitReached) -> str:
    """Which limit refuses, until when, and whom to ask."""
    counter = error.counter
    whose = subject_words(counter.scope, counter.subject)
    reached = _("%(subject)s: the limit of %(limit)s is reached.") % {"subject": whose, "limit": limit_words(counter)}
    return " ".join([reached, _until(error), _whom_to_ask(counter)])


def _until(error: LimitReached) -> str:
    if error.is_final:
        return _("Waiting does not help: this needs more than the limit leaves.")
    if error.counter.metric == Metric.CONCURRENT_REQUESTS:
        return _("Try again when one of the answers that are being written is complete.")
    if error.is_rate:
        return _("Try again in %(seconds)s s.") % {"seconds": error.retry_after}
    moment = error.counter.period.end if error.counter.period else timezone.now() + timedelta(seconds=error.retry_after)
    return _("It is free again on %(moment)s.") % {"moment": date_format(moment, "DATETIME_FORMAT")}


def _whom_to_ask(counter: Counter) -> str:
    names = [person.name or person.email for person in those_in_charge(counter.scope, counter.subject)[:3]]
    if not names:
        return ""
    return _("To have it raised, ask %(names)s.") % {"names": _(" or ").join(names)}
