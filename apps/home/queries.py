"""What the first page shows: what can be done and how it stands, where somebody left off, what to begin with."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import APIKey, Organization, User
from apps.anomaly.permissions import visible_assets
from apps.anomaly.queries import open_incidents
from apps.chat.models import Comparison, Conversation
from apps.quotas.gauges import Gauge, gauges
from apps.quotas.models import Limit
from apps.quotas.queries import standing_of
from apps.search.permissions import visible_collections
from apps.serving.queries import DeploymentState, deployment_states
from apps.teach.permissions import visible_classifiers

_RECENT, _GAUGES = 6, 3


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that can be done here, and how it stands."""

    icon: str
    title: str
    about: str
    url: str
    live: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Recent:
    icon: str
    title: str
    url: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """Of a first run."""

    title: str
    about: str
    url: str
    is_done: bool


def tasks(user: User, deployments: list[DeploymentState], incidents: int) -> list[Task]:
    pictures = visible_collections(user).aggregate(n=Count("pictures"))["n"]
    readings = visible_assets(user).aggregate(n=Sum("stored"))["n"] or 0
    taught = visible_classifiers(user).count()
    watching = (
        ngettext("%(n)s open incident", "%(n)s open incidents", incidents) % {"n": incidents} if incidents else
        ngettext("%(n)s reading", "%(n)s readings", readings) % {"n": f"{readings:,}"}
    )  # fmt: skip
    return [
        Task("chat", _("Chat"), _("Ask, write, compare two answers."), reverse("chat:new"),
             *_models(deployments, "text-generation")),
        Task("search", _("Search pictures"), _("By words or by a picture, in Chinese and English."),
             reverse("search:collections"),
             ngettext("%(n)s picture", "%(n)s pictures", pictures) % {"n": f"{pictures:,}"},
             _models(deployments, "zero-shot-image-classification")[1]),
        Task("anomaly", _("Watch a signal"), _("Alarms that keep to a budget of false ones."),
             reverse("anomaly:assets"), watching, _models(deployments, "anomaly-detection")[1]),
        Task("classify", _("Classify texts"), _("One, or a file of thousands."), reverse("classify:page"),
             *_models(deployments, "text-classification")),
        Task("teach", _("Teach a classifier"), _("From ten examples, in seconds."), reverse("teach:listing"),
             ngettext("%(n)s classifier", "%(n)s classifiers", taught) % {"n": taught},
             _models(deployments, "few-shot-classification")[1]),
    ]  # fmt: skip


def _models(deployments: list[DeploymentState], task: str) -> tuple[str, bool]:
    mine = [one for one in deployments if one.task == task]
    ready = sum(one.is_ready for one in mine)
    if not mine:
        return _("no model is deployed"), False
    return _("%(ready)s of %(all)s models ready") % {"ready": ready, "all": len(mine)}, bool(ready)


def recent(user: User) -> list[Recent]:
    """The newest of everything that one can go on with."""
    found = [
        Recent("chat", str(one), reverse("chat:conversation", args=[one.pk]), one.updated_at)
        for one in islice(Conversation.objects.filter(owner=user, archived=False).order_by("-updated_at"), _RECENT)
    ]
    found += [
        Recent("compare", str(one), reverse("chat:comparison", args=[one.pk]), one.created_at)
        for one in Comparison.objects.filter(owner=user).order_by("-created_at")[:_RECENT]
    ]
    found += [
        Recent("teach", one.name, reverse("teach:page", args=[one.pk]), one.changed_at)
        for one in visible_classifiers(user).order_by("-changed_at")[:_RECENT]
    ]
    found += [
        Recent("search", one.name, reverse("search:page", args=[one.pk]), one.created_at)
        for one in visible_collections(user).order_by("-created_at")[:_RECENT]
    ]
    found += [
        Recent("anomaly", one.name, reverse("anomaly:asset", args=[one.pk]), one.created_at)
        for one in visible_assets(user).order_by("-created_at")[:_RECENT]
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:_RECENT]


def left(user: User) -> list[Gauge]:
    """The limits that are nearest."""
    zone = ZoneInfo(Organization.current().time_zone)
    uses = sorted(standing_of(user), key=lambda use: -use.share)
    return gauges([use for use in uses if use.amount is not None][:_GAUGES], zone, timezone.now())


def steps(user: User, deployments: list[DeploymentState]) -> list[Step]:
    """What an installation, or somebody who is new to it, begins with."""
    found = [
        Step(_("Ask something"), _("The answer comes from a model on your own machines."), reverse("chat:new"),
             Conversation.objects.filter(owner=user).exists()),
        Step(_("Search pictures"), _("A demo collection is there at one click."), reverse("search:collections"),
             visible_collections(user).exists()),
        Step(_("Teach a classifier"), _("Two classes, a few examples each."), reverse("teach:listing"),
             visible_classifiers(user).exists()),
        Step(_("Make a key"), _("Programs ask as the OpenAI client does."), reverse("keys:listing"),
             APIKey.objects.filter(owner=user).exists()),
    ]  # fmt: skip
    return [*_of_administrator(deployments), *found] if user.is_administrator else found


def _of_administrator(deployments: list[DeploymentState]) -> list[Step]:
    return [
        Step(_("Have a model ready"), _("Deployments say what each one waits for."), reverse("console:deployments"),
             any(one.is_ready for one in deployments)),
        Step(_("Invite people"), _("By a link, or through your own sign-on."), reverse("accounts:people"),
             User.objects.filter(is_active=True).count() > 1),
        Step(_("Set limits"), _("For everybody, a team, a person or a key."), reverse("quotas:limits"),
             Limit.objects.exists()),
    ]  # fmt: skip


def context(user: User, *, with_steps: bool) -> dict[str, Any]:
    deployments, incidents = deployment_states(), open_incidents(user)
    first = steps(user, deployments) if with_steps else []
    return {
        "open_incidents": incidents,  # the navigation needs them, too
        "deployments": deployments,
        "chat_model": next((one for one in deployments if one.task == "text-generation" and one.is_ready), None),
        "tasks": tasks(user, deployments, incidents),
        "recent": recent(user),
        "gauges": left(user),
        "steps": first,
        "steps_done": sum(one.is_done for one in first),
    }
