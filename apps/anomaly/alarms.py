"""Rules at work: scores in the order of their steps become alarms, and alarms end."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from apps.anomaly import incidents, notifying
from apps.anomaly.models import AlertRule, Detector, Finding, RuleState, Sensor
from apps.anomaly.thresholds import applies


@dataclass(frozen=True, slots=True)
class Step:
    """One score, and what is known besides: [C] values, expectations and shares in the order of the columns."""

    at: datetime
    score: float
    measured: list[float | None] = field(default_factory=list)
    expected: list[float | None] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


def judge(watched: Sequence[tuple[Detector, Sequence[Step], datetime | None]]) -> None:
    """What new steps of detectors mean to each rule. In the transaction that stores them. Those up to the moment that
    stands with them have been judged before, without readings that were late."""
    some = [one for one in watched if one[0].threshold is not None and one[1]]
    if not some:
        return
    of_assets: dict[UUID, list[AlertRule]] = defaultdict(list)
    assets = {detector.asset_id for detector, _, _ in some}
    for rule in AlertRule.objects.filter(asset__in=assets, on=AlertRule.On.SCORE, is_active=True):
        of_assets[rule.asset_id].append(rule)
    known = RuleState.objects.filter(detector__in=[detector.pk for detector, _, _ in some], sensor=None)
    states = {(one.rule_id, one.detector_id): one for one in known.select_related("incident")}
    # Alarms lock their asset: everybody in the same order.
    for detector, steps, judged_to in sorted(some, key=lambda one: one[0].asset_id):
        new = [step for step in steps if judged_to is None or step.at > judged_to]
        again = _not_known(detector, steps[: len(steps) - len(new)])
        for rule in of_assets[detector.asset_id]:
            if applies(rule, detector):
                _judge(rule, detector, new, states.get((rule.pk, detector.pk)), again)


def _not_known(detector: Detector, steps: Sequence[Step]) -> list[Step]:
    """Those that no alarm of the detector was about: what was said once is not said again."""
    if not steps:
        return []
    alarms = Finding.objects.filter(detector=detector, kind=Finding.Kind.SCORE, began_at__lte=steps[-1].at)
    known = alarms.filter(last_at__gte=steps[0].at).values_list("began_at", "last_at")
    return [step for step in steps if not any(begin <= step.at <= end for begin, end in known)]


def _judge(
    rule: AlertRule, detector: Detector, new: Sequence[Step], state: RuleState | None, again: Sequence[Step]
) -> None:
    """An alarm that lasts is not ended by what is judged again; where there is none, that may raise one."""
    threshold = detector.threshold
    assert threshold is not None
    if state is not None and state.incident_id is not None:
        again = []
    steps = [*again, *new]
    if not steps:
        return
    if again and state is not None and state.since is not None and state.since >= again[0].at:
        state.since = None  # it is counted anew from there
    if (state is None or _is_idle(state)) and max(step.score for step in steps) <= threshold:
        return
    state = state or RuleState.objects.get_or_create(rule=rule, detector=detector, sensor=None)[0]
    finding = _live(state, detector)
    for step in steps:
        if finding is not None:
            if step.score < threshold * rule.clear_ratio:
                _end(rule, state, finding, step.at)
                finding = None
            else:
                _go_on(finding, step)
        elif step.score > threshold:
            state.since = state.since or step.at
            if step.at - state.since >= timedelta(seconds=rule.for_seconds):
                finding = _fire(rule, state, detector, step)
        elif step.score < threshold * rule.clear_ratio:
            state.since = None
    if finding is not None:
        finding.save()
        _raise_peak(finding, threshold)
    state.save()


def _is_idle(state: RuleState) -> bool:
    return state.since is None and state.incident_id is None


def _live(state: RuleState, detector: Detector) -> Finding | None:
    if state.incident_id is None:
        return None
    found = Finding.objects.filter(
        incident=state.incident_id, detector=detector, kind=Finding.Kind.SCORE, ended_at=None
    )
    return found.first()


def _fire(rule: AlertRule, state: RuleState, detector: Detector, step: Step) -> Finding:
    incident, finding, event = incidents.raise_alarm(
        rule=rule, kind=Finding.Kind.SCORE, at=state.since or step.at, detector=detector
    )
    state.incident = incident
    _go_on(finding, step)
    finding.save()
    notifying.tell_of(incident=incident, rule=rule, event=event)
    return finding


def _go_on(finding: Finding, step: Step) -> None:
    finding.last_at = max(finding.last_at, step.at)
    if finding.peak is None or step.score > finding.peak:
        finding.peak, finding.peak_at = step.score, step.at
        finding.measured, finding.expected = list(step.measured), list(step.expected)
        finding.shares = list(step.shares)


def _raise_peak(finding: Finding, threshold: float) -> None:
    incident = finding.incident
    multiple = (finding.peak or 0.0) / threshold if threshold > 0 else None
    incident.last_at = max(incident.last_at, finding.last_at)
    if multiple is not None and multiple > (incident.peak or 0.0):
        incident.peak = multiple
    incident.save(update_fields=["last_at", "peak"])


def _end(rule: AlertRule, state: RuleState, finding: Finding, at: datetime) -> None:
    finding.save()
    _raise_peak(finding, finding.threshold or 0.0)
    over = incidents.end_finding(finding=finding, at=at)
    state.incident, state.since = None, None
    if over is not None:
        notifying.tell_end(incident=over)


# -- things that stand still -----------------------------------------------------------------------


def stands_still(
    rule: AlertRule, *, since: datetime | None, now: datetime, sensor: Sensor | None = None,
    detector: Detector | None = None,
) -> None:  # fmt: skip
    """A sensor or detector has said nothing since then; None: it speaks. In a transaction."""
    state = RuleState.objects.filter(rule=rule, detector=detector, sensor=sensor).first()
    if since is None:
        if state is not None and state.incident_id is not None:
            _end_still(rule, state, now, sensor, detector)
        return
    if now - since < timedelta(seconds=rule.for_seconds) or (state is not None and state.incident_id is not None):
        return
    state = state or RuleState.objects.get_or_create(rule=rule, detector=detector, sensor=sensor)[0]
    kind = Finding.Kind.STOPPED if sensor is not None else Finding.Kind.DEAD
    incident, _, event = incidents.raise_alarm(rule=rule, kind=kind, at=since, detector=detector, sensor=sensor)
    state.since, state.incident = since, incident
    state.save()
    notifying.tell_of(incident=incident, rule=rule, event=event)


def _end_still(
    rule: AlertRule, state: RuleState, now: datetime, sensor: Sensor | None, detector: Detector | None
) -> None:
    kind = Finding.Kind.STOPPED if sensor is not None else Finding.Kind.DEAD
    finding = Finding.objects.filter(
        incident=state.incident_id, kind=kind, sensor=sensor, detector=detector, ended_at=None
    ).first()
    state.since, state.incident = None, None
    state.save()
    if finding is not None:
        finding.last_at = max(finding.last_at, now)
        finding.save(update_fields=["last_at"])
        if (over := incidents.end_finding(finding=finding, at=now)) is not None:
            notifying.tell_end(incident=over)
