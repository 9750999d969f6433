"""Owner, the three roles of a team, and a stranger."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.http import Http404
from django.utils import timezone

from apps.accounts.models import Membership, Role, User
from apps.anomaly import permissions
from apps.anomaly.models import AlertRule, Asset, Detector, Incident, QuietHours, Sensor, Silence, Upload

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Finder = Callable[[User], object]


@pytest.fixture
def people(owner: User, member: User, viewer: User, stranger: User, asset: Asset) -> dict[str, User]:
    lead = User.objects.create_user("lead@example.com", "correct horse battery staple")
    Membership.objects.create(team=asset.team, user=lead, role=Role.ADMIN)
    return {"owner": owner, "lead": lead, "member": member, "viewer": viewer, "stranger": stranger}


def who_finds(people: dict[str, User], find: Finder) -> list[str]:
    found = []
    for name, user in people.items():
        try:
            find(user)
        except Http404:
            continue
        found.append(name)
    return found


def test_everything_of_an_asset_is_found_by_whom_it_is_for(
    people: dict[str, User], asset: Asset, sensor: Sensor
) -> None:
    now = timezone.now()
    detector = Detector.objects.create(asset=asset, name="Watch")
    incident = Incident.objects.create(asset=asset, began_at=now, last_at=now)
    upload = Upload.objects.create(asset=asset, owner=people["owner"], name="a.csv")
    rule = AlertRule.objects.filter(asset=asset).first()
    silence = Silence.objects.create(asset=asset, begins_at=now, ends_at=now + timedelta(hours=1))
    quiet = QuietHours.objects.create(asset=asset, days=[0], begins="22:00", ends="06:00")
    assert rule
    levels = {"visible": ["owner", "lead", "member", "viewer"], "worked": ["owner", "lead", "member"],
              "managed": ["owner", "lead"]}  # fmt: skip
    things = {
        "visible_asset": asset, "worked_asset": asset, "managed_asset": asset, "visible_sensor": sensor,
        "managed_sensor": sensor, "visible_upload": upload, "worked_upload": upload, "visible_detector": detector,
        "worked_detector": detector, "managed_detector": detector, "visible_incident": incident,
        "worked_incident": incident, "visible_rule": rule, "managed_rule": rule, "worked_silence": silence,
        "managed_quiet_hours": quiet,
    }  # fmt: skip
    for name, thing in things.items():
        find = getattr(permissions, name)
        assert (
            who_finds(people, lambda user, find=find, thing=thing: find(user, thing.pk)) == levels[name.split("_")[0]]
        )


def test_an_asset_of_two_ways_is_listed_once(people: dict[str, User], asset: Asset) -> None:
    assert list(permissions.visible_assets(people["owner"])) == [asset]
    assert list(permissions.visible_assets(people["stranger"])) == []


def test_incidents_are_given_to_who_may_work(people: dict[str, User], asset: Asset) -> None:
    assert {user.email for user in permissions.workers_of(asset)} == {
        people[n].email for n in ("owner", "lead", "member")
    }
    assert permissions.viewers_of(asset).count() == 4


def test_an_asset_without_a_team_is_its_owners(people: dict[str, User], asset: Asset) -> None:
    asset.team = None
    asset.save()
    assert who_finds(people, lambda user: permissions.visible_asset(user, asset.pk)) == ["owner"]
    assert [user.email for user in permissions.viewers_of(asset)] == ["owner@example.com"]
