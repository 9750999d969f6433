"""What state a revision is in, from what the workers say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.serving.models import Revision
from contracts.messages import RevisionReport

State = Revision.State
_BEST_FIRST = (State.READY, State.WARMING, State.LOADING)


@dataclass(frozen=True, slots=True)
class Observed:
    state: str
    reason: str = ""
    memory_bytes: int = 0  # measured; 0 is not known


def observe(
    *, is_wanted: bool, generation: int, reports: Sequence[RevisionReport], placed: int = 0, waiting_for: str = ""
) -> Observed:
    """State of a revision that `placed` workers shall have and of which `reports` are there.

    Reports of another generation say nothing about this one. `waiting_for` is why placement gave it fewer
    workers than it wants.
    """
    if not is_wanted:
        return Observed(State.DRAINING if reports else State.STOPPED)
    reports = [report for report in reports if report.generation == generation]
    memory = max((report.memory_bytes for report in reports), default=0)
    for state in _BEST_FIRST:
        if any(report.state == state for report in reports):
            return Observed(state, waiting_for if state == State.READY else "", memory)
    failed = [report for report in reports if report.state == State.FAILED]
    if failed and len(failed) >= placed:
        return Observed(State.FAILED, failed[0].reason)
    return Observed(State.PENDING, waiting_for)
