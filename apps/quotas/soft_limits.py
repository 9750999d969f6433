"""A word of warning when four fifths of a limit are used: once a window and limit, to the tabs that are open, among the
notices and by e-mail."""

import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.utils import translation
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.quotas import limits, noticing
from apps.quotas.counters import read
from apps.quotas.limits import Counter
from apps.quotas.models import Metric, Scope
from apps.quotas.people import those_in_charge
from apps.quotas.usage import Account, unit_of
from apps.quotas.words import limit_words, subject_words
from apps.serving.connection import client
from apps.serving.events import tell_users

log = structlog.get_logger()
SHARE = 0.8
# A slow server must not keep answers from being settled.
_mails = ThreadPoolExecutor(1, thread_name_prefix="quota-mail")


def warn(accounts: Iterable[Account]) -> None:
    """Warn of those limits of the accounts that are nearly used up. Mails are sent behind."""
    now = limits.current()
    found = {one.as_key: (one, account) for account in accounts for one in now.plan_for(account).counters}
    counters = [one for one, _account in found.values() if one.metric != Metric.CONCURRENT_REQUESTS]
    for counter, used in zip(counters, read(counters), strict=True):
        if used.amount >= SHARE * counter.amount > 0 and _is_first(counter):
            _tell(counter, used.amount, found[counter.as_key][1])


def _is_first(counter: Counter) -> bool:
    """Of the processes and times that see it."""
    start = counter.period.start.timestamp() if counter.period else 0
    stays = max(60, math.ceil(counter.resets_after(time.time())) or 86_400)
    name = f"quota-warned:{counter.scope}:{counter.subject}:{counter.metric}:{counter.window}:{start:.0f}"
    return bool(client().set(name, "1", nx=True, ex=stays))


def _tell(counter: Counter, used: int, account: Account) -> None:
    people, unit = _concerned(counter, account), unit_of(counter.metric)
    tell_users(
        [person.pk for person in people], type="quota", scope=counter.scope, subject=counter.subject,
        metric=counter.metric, window=counter.window, used=used / unit, amount=counter.amount / unit,
        text={language: _said(counter, used, language) for language, _name in settings.LANGUAGES},
    )  # fmt: skip
    noticing.of_warning(counter, _share(counter, used), people)
    text = _said(counter, used, settings.LANGUAGE_CODE)
    _mails.submit(_send, [person.email for person in people], _("A limit is nearly used up"), text)


def _said(counter: Counter, used: int, language: str) -> str:
    with translation.override(language):
        return _("%(subject)s: %(share)s %% of the limit of %(limit)s are used.") % {
            "subject": subject_words(counter.scope, counter.subject),
            "share": _share(counter, used),
            "limit": limit_words(counter),
        }


def _share(counter: Counter, used: int) -> int:
    """In per cent."""
    return math.floor(100 * used / counter.amount)


def wait_for_mails() -> None:
    """Return when every warning so far has been sent."""
    _mails.submit(lambda: None).result()


def _send(addresses: list[str], subject: str, text: str) -> None:
    try:
        send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, addresses)
    except (OSError, SMTPException) as error:
        log.warning("warning of a limit not sent", error=str(error))


def _concerned(counter: Counter, account: Account) -> list[User]:
    """The person whose limit it is; of the organisation's and a team's those who are in charge of it as well."""
    people = {person.pk: person for person in User.objects.filter(pk=account.user_id or 0, is_active=True)}
    if counter.scope in {Scope.ORGANIZATION, Scope.TEAM}:
        people |= {person.pk: person for person in those_in_charge(counter.scope, counter.subject)}
    return list(people.values())
