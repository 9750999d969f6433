"""Limits as people read them."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.quotas.limits import Counter
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.people import subject_label

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
