"""Who hears of what: once each, silenced and held back where that was said, retried, signed, and never inside of a
private network."""

import base64
import hashlib
import hmac
import ipaddress
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import monotonic, sleep
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly import deliveries, incidents, notifying, rules, webhooks
from apps.anomaly.models import AlertRule, Asset, Delivery, Finding, Incident, Sensor, Severity, Silence
from apps.serving import connection
from contracts import names

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
State = Delivery.State


class Hook:
    """A server that takes webhooks: `status` is its answer, `calls` what came."""

    def __init__(self) -> None:
        self.status, self.calls = 200, list[tuple[dict[str, str], bytes]]()
        self.drips = False  # a byte of its answer now and then, without an end
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
                with suppress(OSError):
                    while hook.drips:
                        self.wfile.write(b"H")
                        sleep(0.1)
                self.send_response(hook.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    settings.ANOMALY_PRIVATE_WEBHOOKS = ["127.0.0.1/32"]
    hook = Hook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def rule(asset: Asset) -> AlertRule:
    AlertRule.objects.all().delete()
    return rules.create(asset=asset, name="Ours", emails=["crew@example.com"], actor=None)


def found(rule: AlertRule, at: datetime | None = None, sensor: Sensor | None = None) -> Incident:
    """An alarm of the rule, told."""
    incident, _, event = incidents.raise_alarm(
        rule=rule, kind=Finding.Kind.SCORE, at=at or timezone.now(), sensor=sensor
    )
    notifying.tell_of(incident=incident, rule=rule, event=event)
    return incident


def log() -> list[tuple[str, str, str]]:
    rows = Delivery.objects.order_by("channel", "target", "created_at")
    return [(row.channel, row.event, row.state) for row in rows]


def test_everybody_who_sees_it_hears_in_the_application_and_others_by_mail(
    rule: AlertRule, sensor: Sensor, owner: User, member: User
) -> None:
    found(rule, sensor=sensor)
    assert not deliveries.deliver()
    assert log() == [("email", "opened", "sent"), ("in_app", "opened", "sent"), ("in_app", "opened", "sent")]
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["crew@example.com"], "[warning] Press 4: unusual values: Bearing")
    entry = connection.client().xrevrange(names.user_events_key(member.pk), count=1)[0][1]
    said = json.loads(entry["data"])
    told = (said["type"], said["severity"], set(said["text"]), said["open"])
    assert told == ("anomaly", "warning", {"en", "zh-hans"}, 1)


def test_the_same_is_told_once_and_what_is_graver_again(rule: AlertRule, asset: Asset) -> None:
    for _ in range(3):
        found(rule)
    deliveries.deliver()
    assert len(mail.outbox) == 1
    found(rules.create(asset=asset, name="Worse", severity=Severity.CRITICAL, emails=["crew@example.com"], actor=None))
    found(rule)
    deliveries.deliver()
    assert [message.subject[:10] for message in mail.outbox] == ["[warning] ", "[critical]"]


def test_two_who_deliver_send_once(rule: AlertRule) -> None:
    found(rule)
    row = Delivery.objects.get(channel="email")
    assert Delivery.objects.filter(pk=row.pk, state="waiting").update(state="sending", claimed_at=timezone.now())
    deliveries.deliver()
    assert mail.outbox == []


def test_a_mail_that_was_interrupted_is_not_sent_again(rule: AlertRule) -> None:
    found(rule)
    Delivery.objects.update(state="sending", claimed_at=timezone.now() - timedelta(minutes=5))
    assert deliveries.sweep()
    deliveries.deliver()
    assert ("email", "opened", "failed") in log() and mail.outbox == []
    assert "may have been sent" in Delivery.objects.get(channel="email").error
    assert [state for channel, _, state in log() if channel == "in_app"] == ["sent", "sent"]


def test_the_end_is_told_a_little_later_unless_it_comes_back(rule: AlertRule) -> None:
    incident = found(rule)
    deliveries.deliver()
    for finding in incident.findings.all():
        over = incidents.end_finding(finding=finding, at=timezone.now())
    assert over
    notifying.tell_end(incident=over)
    deliveries.deliver()
    assert len(mail.outbox) == 1
    found(rule)  # it comes back
    assert not Delivery.objects.filter(event="ended").exists()
    for finding in incident.findings.filter(ended_at=None):
        over = incidents.end_finding(finding=finding, at=timezone.now())
    notifying.tell_end(incident=over)
    Delivery.objects.filter(event="ended").update(due_at=timezone.now())
    deliveries.deliver()
    assert [message.subject.partition(":")[0] for message in mail.outbox] == ["[warning] Press 4", "Over"]


def test_a_silence_keeps_it_quiet_and_writes_it_down(
    rule: AlertRule, asset: Asset, sensor: Sensor, other: Sensor, owner: User
) -> None:
    now = timezone.now()
    hour = timedelta(hours=1)
    rules.silence(asset=asset, sensor=other, begins_at=now - hour, ends_at=now + hour, actor=owner)
    rules.silence(asset=asset, begins_at=now - 2 * hour, ends_at=now - hour, actor=owner)
    rules.silence(asset=asset, severity="info", begins_at=now - hour, ends_at=now + hour, actor=owner)
    found(rule, sensor=sensor)
    deliveries.deliver()
    assert len(mail.outbox) == 1  # none of them is about this
    Incident.objects.all().delete()
    found(rule, sensor=other)
    deliveries.deliver()
    assert ({state for _, _, state in log()}, len(mail.outbox)) == ({"silenced"}, 1)
    rules.end_silence(silence=Silence.objects.get(sensor=other))
    assert not notifying.silences_of(Incident.objects.get()).exists()


def test_a_silence_is_tried_on_the_past(rule: AlertRule, asset: Asset, sensor: Sensor, other: Sensor) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for days, hours, one in ((1, 3, sensor), (2, 3, other), (3, 15, sensor), (40, 3, sensor)):
        found(rule, at=day - timedelta(days=days) + timedelta(hours=hours), sensor=one)
    count = lambda **values: (lambda n, quiet: (n, len(quiet)))(*rules.preview(asset=asset, days=30, **values))  # noqa: E731
    assert count() == (3, 3)
    assert count(sensor=sensor) == (3, 2)
    assert count(hours=(2 * 3600.0, 4 * 3600.0)) == (3, 2)
    assert count(hours=(22 * 3600.0, 4 * 3600.0)) == (3, 2)
    assert count(severity="info") == (3, 0)


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-03-02T21:30:00+00:00", "2026-03-03T05:00:00+00:00"),  # Monday 22:30 in Berlin
        ("2026-03-03T04:59:00+00:00", "2026-03-03T05:00:00+00:00"),
        ("2026-03-03T05:00:00+00:00", None),
        ("2026-03-02T20:59:00+00:00", None),
        ("2026-03-03T21:30:00+00:00", None),  # they begin on Mondays
    ],
)
def test_quiet_hours_are_of_their_own_time_zone(rule: AlertRule, asset: Asset, at: str, ends: str | None) -> None:
    row = {"days": [0], "begins": time(22), "ends": time(6), "time_zone": "Europe/Berlin"}
    rules.set_quiet_hours(asset=asset, rows=[row])
    incident = found(rule)
    until = notifying.quiet_until(incident, datetime.fromisoformat(at))
    assert until == (ends and datetime.fromisoformat(ends))
    incident.severity = Severity.CRITICAL
    assert notifying.quiet_until(incident, datetime.fromisoformat(at)) is None


def test_what_quiet_hours_hold_back_is_not_told_once_it_is_settled(rule: AlertRule, asset: Asset, owner: User) -> None:
    whole = {"days": list(range(7)), "begins": time(0), "ends": time(23, 59, 59)}
    rules.set_quiet_hours(asset=asset, rows=[whole])
    incident = found(rule)
    deliveries.deliver()
    incidents.resolve(incident=incident, actor=owner)
    assert ("email", "opened", "silenced") in log()


def test_in_quiet_hours_mail_waits_and_the_application_does_not(rule: AlertRule, asset: Asset) -> None:
    whole = {"days": list(range(7)), "begins": time(0), "ends": time(23, 59, 59)}
    rules.set_quiet_hours(asset=asset, rows=[whole])
    found(rule)
    deliveries.deliver()
    assert log() == [("email", "opened", "waiting"), ("in_app", "opened", "sent"), ("in_app", "opened", "sent")]


def test_a_webhook_is_signed(rule: AlertRule, hook: Hook, sensor: Sensor) -> None:
    rules.change(rule=rule, webhook=hook.url, emails=[])
    incident = found(rule, sensor=sensor)
    deliveries.deliver()
    ((headers, body),) = hook.calls
    row = Delivery.objects.get(channel="webhook")
    signed = f"{row.pk}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(rule.secret.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    said = json.loads(body)
    assert (said["type"], said["incident"]["id"], said["incident"]["sensors"][0]["name"]) == (
        "incident.opened", str(incident.pk), "Bearing"
    )  # fmt: skip
    assert (row.state, row.status, headers["webhook-id"]) == ("sent", 200, str(row.pk))


def test_a_webhook_that_fails_is_tried_again_with_the_same_id(rule: AlertRule, hook: Hook) -> None:
    rules.change(rule=rule, webhook=hook.url, emails=[], in_app=False)
    hook.status = 500
    found(rule)
    for wait in deliveries.RETRIES:
        before = timezone.now()
        deliveries.deliver()
        row = Delivery.objects.get()
        assert (row.state, row.status, row.error) == ("waiting", 500, "The address answered 500.")
        assert abs((row.due_at - before).total_seconds() - wait) < 5
        Delivery.objects.update(due_at=timezone.now())
    deliveries.deliver()
    assert Delivery.objects.get().state == "failed"
    assert (len(hook.calls), len({headers["webhook-id"] for headers, _ in hook.calls})) == (6, 1)


def test_a_webhook_is_not_followed_elsewhere(rule: AlertRule, hook: Hook) -> None:
    hook.status = 302
    rules.change(rule=rule, webhook=hook.url)
    with pytest.raises(ValueError, match="webhook: The address answered 302"):
        rules.test(rule=rule, actor=None)
    hook.status = 200
    assert rules.test(rule=rule, actor=None) == 200
    assert json.loads(hook.calls[-1][1])["type"] == "test"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost:6379/", "http://[::1]/", "http://10.1.2.3/", "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/", "http://100.64.0.1/",
        "http://[fd00::1]/", "http://[64:ff9b::a00:1]/", "http://2130706433/", "http://0x7f.1/",
        "http://224.0.0.1/",
    ],
)  # fmt: skip
def test_private_addresses_are_refused(rule: AlertRule, url: str) -> None:
    with pytest.raises(ValueError, match="webhook: (The address is inside of a private network|Enter a valid URL)"):
        rules.change(rule=rule, webhook=url)


@pytest.mark.parametrize("url", ["ftp://example.com/", "http://user:pass@example.com/", "http:///x", "http://a:99999/"])
def test_what_is_no_address_is_refused(rule: AlertRule, url: str) -> None:
    with pytest.raises(ValueError, match="webhook: "):
        rules.change(rule=rule, webhook=url)


def test_a_name_that_leads_inside_by_the_time_it_is_called_is_refused(
    rule: AlertRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked up again when it is called, and what is connected to is what was judged."""
    answers = {"hook.example.com": "93.184.216.34"}

    def looked_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (answers[host], port))]

    monkeypatch.setattr(webhooks.socket, "getaddrinfo", looked_up)
    rules.change(rule=rule, webhook="https://hook.example.com/", emails=[], in_app=False)
    answers["hook.example.com"] = "10.0.0.1"
    found(rule)
    deliveries.deliver()
    row = Delivery.objects.get()
    assert (row.state, row.error) == ("failed", "The address is inside of a private network. It is not called.")


def test_public_addresses_are_public() -> None:
    assert webhooks.is_public(ipaddress.ip_address("93.184.216.34"))
    assert webhooks.is_public(ipaddress.ip_address("2606:2800:220:1::1"))
    assert not webhooks.is_public(ipaddress.ip_address("2002:0a00:0001::"))


@pytest.mark.parametrize(
    "values",
    [
        {"severity": "loud"},
        {"for_seconds": -1},
        {"clear_ratio": 2.0},
        {"emails": ["nobody"]},
        {"on": "never"},
        {"name": ""},
    ],
)
def test_a_rule_that_cannot_be_says_why(asset: Asset, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))}: "):
        rules.create(asset=asset, **({"name": "R"} | values))


def test_a_rule_that_goes_ends_its_alarms(rule: AlertRule, owner: User, sensor: Sensor) -> None:
    from apps.anomaly.models import RuleState

    incident = found(rule, sensor=sensor)
    RuleState.objects.create(rule=rule, sensor=sensor, incident=incident)
    rules.delete(rule=rule, actor=owner)
    incident.refresh_from_db()
    assert incident.ended_at is not None


def test_a_receiver_that_answers_slowly_is_not_waited_for(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_SECONDS", 0.5)
    hook.drips, began = True, monotonic()
    with pytest.raises(webhooks.NotDelivered, match="does not answer: TimeoutError"):
        webhooks.call(hook.url, message_id="m", body=b"{}", secret="s")
    assert monotonic() - began < 3
    hook.drips = False


def waiting(rule: AlertRule, target: str, count: int) -> None:
    """As many messages of incidents of their own."""
    now = timezone.now()
    for _ in range(count):
        incident = Incident.objects.create(asset=rule.asset, severity=rule.severity, began_at=now, last_at=now)
        Delivery.objects.create(
            incident=incident, rule=rule, event="opened", severity=rule.severity, channel="webhook", target=target,
            due_at=now - timedelta(minutes=1),
        )  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was called: `silent` does not answer, `slow` takes its time."""
    called: list[str] = []

    def call(url: str, **_given: Any) -> int:
        called.append(url)
        if url == "silent":
            raise webhooks.NotDelivered("The address does not answer: TimeoutError")
        if url == "slow":
            sleep(1)
        return 200

    monkeypatch.setattr(webhooks, "call", call)
    monkeypatch.setattr(deliveries, "_SLOW", 0.5)
    return called


def test_a_silent_receiver_does_not_keep_the_others_waiting(rule: AlertRule, calls: list[str]) -> None:
    waiting(rule, "silent", 3)
    waiting(rule, "ours", 1)
    found(rule)
    assert not deliveries.deliver(seconds=60)
    assert (calls, len(mail.outbox)) == (["silent", "ours"], 1)
    silent = Delivery.objects.filter(target="silent")
    assert sorted(silent.values_list("attempts", flat=True)) == [0, 0, 1]
    assert len({row.due_at for row in silent}) == 1 and silent[0].due_at > timezone.now()


def test_a_slow_receiver_takes_turns_with_the_others(rule: AlertRule, calls: list[str]) -> None:
    waiting(rule, "slow", 2)
    waiting(rule, "ours", 2)
    deliveries.deliver(seconds=60)
    assert calls == ["slow", "ours", "ours"]
    Delivery.objects.update(due_at=timezone.now())
    deliveries.deliver(seconds=60)
    assert calls == ["slow", "ours", "ours", "slow"]
