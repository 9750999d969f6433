"""Who may see, work with and change which asset. Everybody else gets 404.

Its owner may all. In the team that it is shared with, owners and administrators change it, members work with it
(incidents, thresholds, silences, readings), viewers look.
"""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404

from apps.accounts.models import ADMINISTRATORS, Membership, Role, User
from apps.anomaly.models import (
    AlertRule,
    Asset,
    Delivery,
    Detector,
    Fit,
    Incident,
    QuietHours,
    Sensor,
    Silence,
    Upload,
)

Person = User | AnonymousUser
_WORKERS = (*ADMINISTRATORS, Role.MEMBER)


def _in_teams(user: Person, roles: tuple[str, ...]) -> Q:
    teams = Membership.objects.filter(user_id=user.pk or 0, role__in=roles).values("team_id")
    return Q(owner_id=user.pk) | Q(team__in=teams)


def visible_assets(user: Person) -> QuerySet[Asset]:
    return Asset.objects.filter(_in_teams(user, tuple(Role)))


def worked_assets(user: Person) -> QuerySet[Asset]:
    return Asset.objects.filter(_in_teams(user, _WORKERS))


def managed_assets(user: Person) -> QuerySet[Asset]:
    return Asset.objects.filter(_in_teams(user, ADMINISTRATORS))


def visible_asset(user: Person, asset_id: UUID) -> Asset:
    return get_object_or_404(visible_assets(user).select_related("owner", "team"), pk=asset_id)


def worked_asset(user: Person, asset_id: UUID) -> Asset:
    return get_object_or_404(worked_assets(user).select_related("owner", "team", "key"), pk=asset_id)


def managed_asset(user: Person, asset_id: UUID) -> Asset:
    return get_object_or_404(managed_assets(user).select_related("owner", "team", "key"), pk=asset_id)


def may_work(user: Person, asset: Asset) -> bool:
    return worked_assets(user).filter(pk=asset.pk).exists()


def may_manage(user: Person, asset: Asset) -> bool:
    return managed_assets(user).filter(pk=asset.pk).exists()


def viewers_of(asset: Asset) -> QuerySet[User]:
    """Everybody who sees it."""
    members = Membership.objects.filter(team_id=asset.team_id or 0).values("user_id")
    return User.objects.filter(Q(pk=asset.owner_id) | Q(pk__in=members), is_active=True)


def workers_of(asset: Asset) -> QuerySet[User]:
    """Whom an incident may be given to."""
    members = Membership.objects.filter(team_id=asset.team_id or 0, role__in=_WORKERS).values("user_id")
    return User.objects.filter(Q(pk=asset.owner_id) | Q(pk__in=members), is_active=True)


# -- what belongs to an asset -----------------------------------------------------------------------


def visible_sensors(user: Person) -> QuerySet[Sensor]:
    return Sensor.objects.filter(asset__in=visible_assets(user))


def visible_sensor(user: Person, sensor_id: int) -> Sensor:
    return get_object_or_404(visible_sensors(user).select_related("asset"), pk=sensor_id)


def managed_sensor(user: Person, sensor_id: int) -> Sensor:
    return get_object_or_404(Sensor.objects.select_related("asset"), pk=sensor_id, asset__in=managed_assets(user))


def visible_upload(user: Person, upload_id: UUID) -> Upload:
    found = Upload.objects.select_related("asset__owner", "asset__key", "owner")
    return get_object_or_404(found, pk=upload_id, asset__in=visible_assets(user))


def worked_upload(user: Person, upload_id: UUID) -> Upload:
    found = Upload.objects.select_related("asset__owner", "asset__key", "owner")
    return get_object_or_404(found, pk=upload_id, asset__in=worked_assets(user))


def visible_detector(user: Person, detector_id: int) -> Detector:
    found = Detector.objects.select_related("asset__owner", "fit")
    return get_object_or_404(found, pk=detector_id, asset__in=visible_assets(user))


def worked_detector(user: Person, detector_id: int) -> Detector:
    found = Detector.objects.select_related("asset__owner", "asset__key", "fit")
    return get_object_or_404(found, pk=detector_id, asset__in=worked_assets(user))


def managed_detector(user: Person, detector_id: int) -> Detector:
    found = Detector.objects.select_related("asset__owner", "asset__key", "fit")
    return get_object_or_404(found, pk=detector_id, asset__in=managed_assets(user))


def visible_fit(user: Person, fit_id: int) -> Fit:
    found = Fit.objects.select_related("detector__asset", "job")
    return get_object_or_404(found, pk=fit_id, detector__asset__in=visible_assets(user))


def worked_fit(user: Person, fit_id: int) -> Fit:
    found = Fit.objects.select_related("detector__asset", "job")
    return get_object_or_404(found, pk=fit_id, detector__asset__in=worked_assets(user))


def visible_incidents(user: Person) -> QuerySet[Incident]:
    return Incident.objects.filter(asset__in=visible_assets(user))


def visible_incident(user: Person, incident_id: UUID) -> Incident:
    return get_object_or_404(visible_incidents(user).select_related("asset", "assignee"), pk=incident_id)


def worked_incident(user: Person, incident_id: UUID) -> Incident:
    found = Incident.objects.select_related("asset__owner", "assignee")
    return get_object_or_404(found, pk=incident_id, asset__in=worked_assets(user))


def visible_rule(user: Person, rule_id: UUID) -> AlertRule:
    return get_object_or_404(AlertRule.objects.select_related("asset"), pk=rule_id, asset__in=visible_assets(user))


def managed_rule(user: Person, rule_id: UUID) -> AlertRule:
    return get_object_or_404(AlertRule.objects.select_related("asset"), pk=rule_id, asset__in=managed_assets(user))


def worked_silence(user: Person, silence_id: UUID) -> Silence:
    return get_object_or_404(Silence.objects.select_related("asset"), pk=silence_id, asset__in=worked_assets(user))


def managed_quiet_hours(user: Person, quiet_id: int) -> QuietHours:
    return get_object_or_404(QuietHours.objects.select_related("asset"), pk=quiet_id, asset__in=managed_assets(user))


def visible_deliveries(user: Person) -> QuerySet[Delivery]:
    """In the application everybody sees their own only; addresses are for those who change the rules."""
    own = Q(channel=Delivery.Channel.IN_APP, target=str(user.pk), incident__asset__in=visible_assets(user))
    managed = Q(incident__asset__in=managed_assets(user)) & ~Q(channel=Delivery.Channel.IN_APP)
    return Delivery.objects.filter(own | managed)
