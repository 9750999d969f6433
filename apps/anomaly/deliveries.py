"""Messages on their way: each is claimed by a conditional update before it is sent, so two who deliver send it once.

A process that ends while it sends leaves a claim. A webhook is then called again with the same id; a mail is not sent
again, since it may have gone: it is written down as interrupted, and the message in the application is there.

Webhooks come last, and a receiver that is slow or silent is left alone for a while with all that waits for it: the
others do not wait for it as often as it has messages.
"""

import json
import threading
import time
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Case, F, When
from django.db.models.functions import Greatest
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.anomaly import noticing, presenting, queries, webhooks
from apps.anomaly.models import AlertRule, Delivery, Incident, Sensor
from apps.serving.events import tell_user

log = structlog.get_logger()

State, Channel = Delivery.State, Delivery.Channel
RETRIES = (10, 60, 300, 1800, 7200)  # seconds until it is tried again
_SECONDS = 5.0  # that one task delivers: others wait for its thread
_SLOW = 1.0  # seconds of a call, from which on its receiver is left alone for as long
_CLAIM_LASTS = timedelta(minutes=2)
_delivering = threading.Lock()


def deliver(*, seconds: float = _SECONDS) -> bool:
    """Send what is due, oldest first, for about so long; whether something is left. One thread of a process at a
    time."""
    if not _delivering.acquire(blocking=False):
        return False
    try:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            row = _claim()
            if row is None:
                return False
            _send(row)
        return True
    finally:
        _delivering.release()


def sweep() -> bool:
    """What was left in the middle; whether something is due."""
    old = Delivery.objects.filter(state=State.SENDING, claimed_at__lt=timezone.now() - _CLAIM_LASTS)
    old.filter(channel=Channel.EMAIL).update(
        state=State.FAILED, error="The program ended while it sent this. It may have been sent."
    )
    old.exclude(channel=Channel.EMAIL).update(state=State.WAITING)
    return Delivery.objects.filter(state=State.WAITING, due_at__lte=timezone.now()).exists()


def test_webhook(*, rule: AlertRule) -> int:
    """Call it with an example. Raises NotDelivered."""
    body = {"type": "test", "rule": str(rule.pk), "asset": {"id": str(rule.asset_id), "name": rule.asset.name}}
    return webhooks.call(rule.webhook, message_id=f"test-{int(time.time())}", body=_packed(body), secret=rule.secret)


def _claim() -> Delivery | None:
    """The next that is due, for this process alone."""
    due = Delivery.objects.filter(state=State.WAITING, due_at__lte=timezone.now())
    due = due.order_by(Case(When(channel=Channel.WEBHOOK, then=1), default=0), "due_at")
    for row in due[:20]:
        waiting = Delivery.objects.filter(pk=row.pk, state=State.WAITING)
        if waiting.update(state=State.SENDING, claimed_at=timezone.now(), attempts=F("attempts") + 1):
            rows = Delivery.objects.select_related("incident__asset", "incident__assignee", "rule")
            return rows.prefetch_related("incident__findings__detector").get(pk=row.pk)
    return None


def _send(row: Delivery) -> None:
    began = time.monotonic()
    try:
        status = _SENDERS[Channel(row.channel)](row)
    except webhooks.NotDelivered as error:
        due = _again(row, str(error), status=error.status, is_final=error.is_final)
        if due and error.status is None:
            _postpone(row, due)
    except OSError as error:  # smtplib's are among them
        _again(row, f"The mail server does not take it: {type(error).__name__}")
    except redis.RedisError:
        _again(row, "Redis does not answer.")
    else:
        _ended(row, state=State.SENT, sent_at=timezone.now(), status=status, error="")
    if row.channel == Channel.WEBHOOK and (taken := time.monotonic() - began) > _SLOW:
        _postpone(row, timezone.now() + timedelta(seconds=taken))


def _postpone(row: Delivery, due: datetime) -> None:
    """What else waits for its receiver."""
    waiting = Delivery.objects.filter(state=State.WAITING, channel=row.channel, target=row.target)
    waiting.update(due_at=Greatest("due_at", due))


def _again(row: Delivery, error: str, *, status: int | None = None, is_final: bool = False) -> datetime | None:
    """When it is tried again, if it is."""
    if is_final or row.attempts > len(RETRIES):
        _ended(row, state=State.FAILED, error=error[:400], status=status)
        return None
    due = timezone.now() + timedelta(seconds=RETRIES[row.attempts - 1])
    _ended(row, state=State.WAITING, due_at=due, error=error[:400], status=status)
    return due


def _ended(row: Delivery, **values: Any) -> None:
    Delivery.objects.filter(pk=row.pk, state=State.SENDING).update(**values)


# -- what is said ----------------------------------------------------------------------------------


def _in_app(row: Delivery) -> None:
    texts = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            texts[language] = _subject(row)
    incident = row.incident
    tell_user(
        row.target, type="anomaly", asset=str(incident.asset_id), incident=str(incident.pk), event=row.event,
        severity=row.severity, text=texts, open=queries.open_incidents(User(pk=int(row.target))),
    )  # fmt: skip
    noticing.of_delivery(row)


def _mail(row: Delivery) -> None:
    with translation.override(settings.LANGUAGE_CODE):
        lines = [_subject(row), "", *_facts(row)]
    # The same message has the same id, whoever sends it.
    headers = {"Message-ID": f"<{row.pk}@deepseek-web>"}
    EmailMessage(subject=lines[0], body="\n".join(lines), to=[row.target], headers=headers).send()


def _webhook(row: Delivery) -> int:
    incident = presenting.incident(row.incident, _names(row.incident))
    body = {
        "id": str(row.pk), "type": f"incident.{row.event}", "severity": row.severity, "incident": incident,
        "rule": str(row.rule_id or ""),
    }  # fmt: skip
    secret = row.rule.secret if row.rule else ""
    return webhooks.call(row.target, message_id=str(row.pk), body=_packed(body), secret=secret)


_SENDERS = {Channel.IN_APP: _in_app, Channel.EMAIL: _mail, Channel.WEBHOOK: _webhook}


def _subject(row: Delivery) -> str:
    findings = list(row.incident.findings.all())
    said = {
        "severity": Delivery(severity=row.severity).get_severity_display(),
        "asset": row.incident.asset.name,
        "title": presenting.title(findings, _names(row.incident)),
    }
    if row.event == Delivery.Event.ENDED:
        return _("Over: %(asset)s, %(title)s") % said
    return _("[%(severity)s] %(asset)s: %(title)s") % said


def _facts(row: Delivery) -> list[str]:
    incident = row.incident
    found = [_("Since %(at)s") % {"at": incident.began_at.isoformat(timespec="seconds")}]
    if incident.ended_at:
        found.append(_("Until %(at)s") % {"at": incident.ended_at.isoformat(timespec="seconds")})
    if incident.peak:
        found.append(_("Highest score: %(n).2f times the threshold") % {"n": incident.peak})
    if settings.SITE_URL:
        found.append(f"{settings.SITE_URL}{presenting.address(incident)}")
    return found


def _names(incident: Incident) -> dict[int, str]:
    return dict(Sensor.objects.filter(asset=incident.asset_id).values_list("pk", "name"))


def _packed(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
