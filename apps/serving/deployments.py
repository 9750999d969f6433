"""Verbs on deployments. Each is atomic, writes an audit row and has the reconciler publish on commit.

`actor` is None for what the system does by itself. A wish that cannot be granted is a ValueError(`field: reason`).
"""

from typing import Any

import structlog
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max
from redis import RedisError

from apps.accounts.models import User
from apps.audit.services import record
from apps.registry.models import ModelVersion
from apps.serving.locks import wait_for_turn
from apps.serving.models import Deployment, Revision
from apps.serving.reconcile import reconcile
from apps.serving.states import State
from apps.serving.traffic import scaled, weights_of, write_weights

log = structlog.get_logger()

_OF_DEPLOYMENT = {"max_waiting", "guard_error_rate", "guard_p95_seconds", "guard_window", "guard_min_requests"}
_OF_REVISION = {"context_length", "max_batch_size", "provider", "fp16", "replicas"}
_GUARD = {name for name in _OF_DEPLOYMENT if name.startswith("guard_")}


@transaction.atomic
def create_deployment(
    *, actor: User | None, name: str, version: ModelVersion, address: str | None = None, **settings: Any
) -> Deployment:
    """A deployment whose first revision gets all traffic as soon as it is READY.

    `settings` are fields of Deployment (max_waiting, guard_*) and of Revision (context_length, max_batch_size,
    provider, fp16, replicas).
    """
    _check_names(settings, _OF_DEPLOYMENT | _OF_REVISION)
    deployment = Deployment(name=name, **{key: settings[key] for key in _OF_DEPLOYMENT & set(settings)})
    _check(deployment)
    deployment.save()
    _new_revision(deployment, version, {key: settings[key] for key in _OF_REVISION & set(settings)}, weight=100)
    _said(actor, "create", deployment, address, version=str(version))
    return deployment


@transaction.atomic
def add_revision(
    *,
    actor: User | None,
    deployment: Deployment,
    version: ModelVersion,
    weight: int = 0,
    address: str | None = None,
    **settings: Any,
) -> Revision:
    """Another revision beside those that serve, with the settings of the newest one unless others are named.

    With weight 0 it stands by, with 1 to 99 it is a canary (the others keep their proportions), with 100 it
    takes over once it is READY; until then, or if it never is, the others serve on.
    """
    _lock(deployment)
    _check_names(settings, _OF_REVISION)
    if not 0 <= weight <= 100:
        raise ValueError("weight: must be between 0 and 100")
    newest = deployment.revisions.first()
    if newest is not None:
        if newest.version.model.task != version.model.task:
            raise ValueError(
                f"version: is made for {version.model.task}, the deployment for {newest.version.model.task}"
            )
        kept = {key: getattr(newest, key) for key in _OF_REVISION if key != "context_length"}
        settings = {**kept, **settings}
    before = weights_of(deployment)
    has_traffic = any(before.values())
    revision = _new_revision(deployment, version, settings, weight=100 if weight == 100 and not has_traffic else 0)
    if weight == 100 and has_traffic:
        deployment.revisions.update(takes_over=False)
        Revision.objects.filter(pk=revision.pk).update(takes_over=True)
    elif 0 < weight < 100:
        write_weights(deployment, {**scaled(before, 100 - weight), revision.number: weight if has_traffic else 100})
    revision.refresh_from_db()
    _said(actor, "add_revision", deployment, address, revision=revision.number, version=str(version), weight=weight)
    return revision


@transaction.atomic
def set_weights(
    *, actor: User | None, deployment: Deployment, weights: dict[int, int], address: str | None = None
) -> None:
    """Share the traffic out: per cent by revision number, 0 for whom `weights` does not name. Must sum to 100."""
    _lock(deployment)
    rows = {one.number: one for one in deployment.revisions.filter(is_wanted=True)}
    if unknown := sorted(set(weights) - set(rows)):
        raise ValueError(f"weights: revision {unknown[0]} does not run")
    if any(not 0 <= weight <= 100 for weight in weights.values()) or sum(weights.values()) != 100:
        raise ValueError("weights: must be whole per cents that sum to 100")
    getting = [rows[number] for number, weight in weights.items() if weight]
    if not any(one.state == State.READY for one in getting) and any(one.state == State.READY for one in rows.values()):
        raise ValueError("weights: none of these revisions is ready; nothing would be answered")
    deployment.revisions.update(takes_over=False)
    _said(actor, "set_weights", deployment, address, weights=write_weights(deployment, weights))


@transaction.atomic
def promote(*, actor: User | None, revision: Revision, address: str | None = None) -> None:
    """All traffic to this revision: at once when it is READY, else as soon as it is. The others stay loaded."""
    deployment = _lock(revision.deployment)
    revision.refresh_from_db()
    changed = _send_all_traffic(deployment, revision)
    _said(actor, "promote", deployment, address, revision=revision.number, weights=changed)


@transaction.atomic
def roll_back(
    *, actor: User | None, deployment: Deployment, address: str | None = None, part: str = "system", **why: Any
) -> Revision:
    """All traffic back to the revision before the newest one that has any, or is to take over.

    A READY one gets it at once; else the newest that has not failed is loaded and gets it when READY.
    """
    _lock(deployment)
    rows = list(deployment.revisions.order_by("-number"))
    current = next((one for one in rows if one.takes_over or one.weight), None)
    earlier = [one for one in rows if current and one.number < current.number and one.state != State.FAILED]
    target = next((one for one in earlier if one.state == State.READY), None) or next(iter(earlier), None)
    if current is None or target is None:
        raise ValueError("deployment: has no earlier revision to go back to")
    changed = _send_all_traffic(deployment, target)
    _said(
        actor, "roll_back", deployment, address, part,
        revision=target.number, from_revision=current.number, weights=changed, **why,
    )  # fmt: skip
    return target


@transaction.atomic
def pause(*, actor: User | None, deployment: Deployment, address: str | None = None) -> None:
    """Take no more requests; what is loaded stays, what runs is finished."""
    _set_paused(actor, deployment, address, paused=True)


@transaction.atomic
def resume(*, actor: User | None, deployment: Deployment, address: str | None = None) -> None:
    _set_paused(actor, deployment, address, paused=False)


@transaction.atomic
def scale(*, actor: User | None, revision: Revision, replicas: int, address: str | None = None) -> None:
    """Have the revision on that many workers."""
    deployment = _lock(revision.deployment)
    if not 1 <= replicas <= 64:
        raise ValueError("replicas: must be between 1 and 64")
    before = revision.replicas
    _write(revision, replicas=replicas)
    _said(actor, "scale", deployment, address, revision=revision.number, replicas=[before, replicas])


@transaction.atomic
def retry(*, actor: User | None, revision: Revision, address: str | None = None) -> None:
    """Load it again, whatever happened before."""
    deployment = _lock(revision.deployment)
    _write(revision, generation=F("generation") + 1, is_wanted=True, state=State.PENDING, reason="")
    _said(actor, "retry", deployment, address, revision=revision.number)


@transaction.atomic
def stop_revision(*, actor: User | None, revision: Revision, address: str | None = None) -> None:
    """Unload it once it has finished what it has; its share goes to the others that run."""
    deployment = _lock(revision.deployment)
    others = {number: weight for number, weight in weights_of(deployment).items() if number != revision.number}
    changed = write_weights(deployment, scaled(others, 100)) if any(others.values()) else {}
    _write(revision, is_wanted=False, takes_over=False)
    _said(actor, "stop_revision", deployment, address, revision=revision.number, weights=changed)


@transaction.atomic
def start_revision(*, actor: User | None, revision: Revision, address: str | None = None) -> None:
    """Load it; it stands by unless nothing else has traffic."""
    deployment = _lock(revision.deployment)
    alone = not any(weights_of(deployment).values())
    _write(revision, is_wanted=True, weight=100 if alone else 0, state=State.PENDING, reason="")
    _said(actor, "start_revision", deployment, address, revision=revision.number)


@transaction.atomic
def set_guard(*, actor: User | None, deployment: Deployment, address: str | None = None, **limits: Any) -> None:
    """Change guard_error_rate, guard_p95_seconds (None is no limit), guard_window or guard_min_requests."""
    _lock(deployment)
    _check_names(limits, _GUARD | {"max_waiting"})
    before = {name: getattr(deployment, name) for name in limits}
    for name, value in limits.items():
        setattr(deployment, name, value)
    _check(deployment)
    deployment.save(update_fields=list(limits))
    changed: dict[str, Any] = {name: [before[name], value] for name, value in limits.items() if before[name] != value}
    _said(actor, "set_guard", deployment, address, **changed)


@transaction.atomic
def delete_deployment(*, actor: User | None, deployment: Deployment, address: str | None = None) -> None:
    """Its revisions are unloaded once they have finished what they have; the versions stay registered."""
    _said(actor, "delete", deployment, address)
    deployment.delete()


@transaction.atomic
def deploy(*, version: ModelVersion, name: str) -> Deployment:
    """Let `name` be answered by `version`; nothing happens when that is wanted already.

    A new version takes over when it is READY, the one before serves until then.
    """
    deployment = Deployment.objects.filter(name=name).first()
    if deployment is None:
        return create_deployment(actor=None, name=name, version=version)
    newest = deployment.revisions.first()
    if newest is None or newest.version_id != version.pk:
        add_revision(actor=None, deployment=deployment, version=version, weight=100)
    return deployment


def _new_revision(deployment: Deployment, version: ModelVersion, settings: dict[str, Any], *, weight: int) -> Revision:
    longest = version.manifest.get("context_length", 2048)
    context_length = min(settings.pop("context_length", None) or django_settings.MAX_CONTEXT_LENGTH, longest)
    last = deployment.revisions.aggregate(last=Max("number"))["last"] or 0
    revision = Revision(
        deployment=deployment,
        version=version,
        number=last + 1,
        context_length=context_length,
        weight=weight,
        **settings,
    )
    _check(revision)
    revision.save()
    return revision


def _send_all_traffic(deployment: Deployment, revision: Revision) -> dict[int, list[int]]:
    deployment.revisions.update(takes_over=False)
    if revision.state == State.READY and revision.is_wanted:
        return write_weights(deployment, {revision.number: 100})
    fresh = {"state": State.PENDING, "reason": ""} if not revision.is_wanted else {}
    _write(revision, is_wanted=True, takes_over=True, **fresh)
    return {}


def _set_paused(actor: User | None, deployment: Deployment, address: str | None, *, paused: bool) -> None:
    _lock(deployment)
    deployment.is_paused = paused
    deployment.save(update_fields=["is_paused"])
    _said(actor, "pause" if paused else "resume", deployment, address)


def _lock(deployment: Deployment) -> Deployment:
    """Verbs happen one after the other, and the rows are read when it is our turn."""
    wait_for_turn()
    deployment.refresh_from_db()
    return deployment


def _write(revision: Revision, **fields: Any) -> None:
    Revision.objects.filter(pk=revision.pk).update(**fields)
    revision.refresh_from_db()


def _check(instance: Deployment | Revision) -> None:
    """Raises ValueError(`field: reason`) for values that the model does not take."""
    try:
        instance.full_clean()
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise ValueError(f"{field}: {reasons[0]}") from error


def _check_names(settings: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(settings) - known):
        raise ValueError(f"{unknown[0]}: is not a setting")


def _said(
    actor: User | None, verb: str, deployment: Deployment, address: str | None, part: str = "system", **data: Any
) -> None:
    record(action=f"deployment.{verb}", target=deployment, actor=actor, part=part, address=address, **data)
    transaction.on_commit(publish)


def publish() -> None:
    """Have the workers and web processes see what has changed; the next second does it when Redis is away."""
    try:
        reconcile()
    except RedisError as error:
        log.warning("not published, Redis does not answer", error=str(error))
