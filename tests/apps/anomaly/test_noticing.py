"""Incidents and detectors among the notices of those who see the asset."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from apps.accounts.models import Membership, User
from apps.anomaly import deliveries, fitting, incidents, notifying, rules
from apps.anomaly.models import AlertRule, Asset, Detector, Finding, Fit, Incident, Sensor, Silence
from apps.notices.models import Notice
from apps.notices.queries import lines

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def rule(asset: Asset) -> AlertRule:
    AlertRule.objects.all().delete()
    return rules.create(asset=asset, name="Ours", actor=None)


def found(rule: AlertRule, sensor: Sensor) -> Incident:
    incident, _, event = incidents.raise_alarm(rule=rule, kind=Finding.Kind.SCORE, at=timezone.now(), sensor=sensor)
    notifying.tell_of(incident=incident, rule=rule, event=event)
    deliveries.deliver()
    return incident


def told(user: User) -> list[tuple[str, str, str]]:
    found = lines(user, Notice.objects.filter(reader=user))
    return [(line.notice.level, line.text, line.link) for line in found]


def test_an_incident_is_found_by_all_who_see_the_asset(
    rule: AlertRule, sensor: Sensor, owner: User, member: User, stranger: User
) -> None:
    incident = found(rule, sensor)
    said = [("warning", "Press 4: unusual values: Bearing", f"/anomaly/incidents/{incident.pk}/")]
    assert told(owner) == told(member) == said
    assert told(stranger) == []
    with translation.override("zh-hans"):
        title = Notice.objects.filter(reader=owner).get().values["title"]["zh-hans"]
        assert title in told(owner)[0][1]
    Membership.objects.filter(user=member).delete()
    assert "Press" not in told(member)[0][1]


@pytest.mark.parametrize("kept_from", ["rule", "silence"])
def test_what_is_not_delivered_is_no_notice(rule: AlertRule, sensor: Sensor, owner: User, kept_from: str) -> None:
    if kept_from == "rule":
        AlertRule.objects.update(in_app=False)
        rule.refresh_from_db()
    else:
        now = timezone.now()
        Silence.objects.create(asset=rule.asset, begins_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1))
    found(rule, sensor)
    assert told(owner) == []


def test_its_end_takes_the_place_of_its_beginning(rule: AlertRule, sensor: Sensor, owner: User) -> None:
    Asset.objects.update(group_seconds=0)
    incident = found(rule, sensor)
    incident.refresh_from_db()
    notifying.tell_end(incident=Incident.objects.select_related("asset").get())
    deliveries.deliver()
    (said,) = told(owner)
    assert said[:2] == ("info", "Over: Press 4, unusual values: Bearing")
    assert Notice.objects.get(reader=owner).times == 2


def test_who_is_given_an_incident_hears_of_it(rule: AlertRule, sensor: Sensor, owner: User, member: User) -> None:
    incident = found(rule, sensor)
    Notice.objects.all().delete()
    for to in (owner, member, None):
        incidents.assign(incident=incident, to=to, actor=owner)
    assert told(owner) == []
    assert told(member) == [(
        "warning", "owner gave you an incident: Press 4, unusual values: Bearing",
        f"/anomaly/incidents/{incident.pk}/",
    )]  # fmt: skip


def test_who_asked_for_a_version_hears_whether_it_is_ready(asset: Asset, member: User) -> None:
    detector = Detector.objects.create(asset=asset, name="Watch")
    now = timezone.now()
    values: dict[str, Any] = {"detector": detector, "begin": now, "end": now}
    fit = Fit.objects.create(number=7, created_by=member, **values)
    fitting._fail(fit, "There are readings at 3 moments in this span; fitting takes 200 at least.")
    reason = "There are readings at 3 moments in this span; fitting takes 200 at least."
    address = f"/anomaly/assets/{asset.pk}/detectors/"
    assert told(member) == [("error", f"Press 4: version 7 of the detector Watch failed: {reason}", address)]
    fitting._fail(Fit.objects.create(number=8, **values), "Nobody asked.")
    assert Notice.objects.count() == 1
