"""Runs one job to its end: within its limits, heard by its readers, cancelled when somebody says so."""

import time
from pathlib import Path
from typing import Any

import structlog

from contracts.adaptation import ADAPT_JOB
from contracts.few_shot import REFINE_JOB
from contracts.messages import Event, JobRequest
from workers.jobs.folder import has_kept, job_folder
from workers.jobs.journal import Entry, Journal, NotOurs
from workers.jobs.process import JobProcess

log = structlog.get_logger()

KINDS = ("import_model", "probe", "train", "fit_detector", ADAPT_JOB, REFINE_JOB)
_TICK = 0.25  # seconds between two looks at limits and the wish to cancel


class _Ended(Exception):
    """The job was ended from here. `kind`: cancelled, memory_limit, time_limit."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def run_job(journal: Journal, root: Path, *, kinds: tuple[str, ...] = KINDS) -> bool:
    """Claim the job, do it, write how it ended; False when it is not ours (any more)."""
    request = journal.claim()
    if request is None:
        return False
    try:
        if request.kind not in kinds:
            raise _Ended("refused", f"This release knows no job {request.kind!r}.")
        with job_folder(root, request.job_id) as folder:
            last = _run(journal, request, folder)
    except _Ended as ended:
        last = [(Event.ERROR, {"type": ended.kind, "message": f"{ended}{_what_is_kept(root, request)}"})]
    except NotOurs:
        log.warning("job belongs to another attempt", job=request.job_id)
        return False
    except OSError as error:
        last = [(Event.ERROR, {"type": "internal", "message": f"The job could not be started: {error}"})]
    try:
        journal.write(last, is_last=True)
    except NotOurs:
        return False
    return True


def _what_is_kept(root: Path, request: JobRequest) -> str:
    kept = has_kept(root, request.job_id)
    return " Its last checkpoint is kept: tried again, it goes on from there." if kept else ""


def _run(journal: Journal, request: JobRequest, folder: Path) -> list[Entry]:
    """The last entries of the job: its result and `done`, or an error."""
    process = JobProcess(request, folder)
    last: list[Entry] = []
    try:
        _follow(journal, request, process, last)
        code = process.wait(5)
    finally:
        ended = process.end()
    code = ended if code is None else code
    if code == 0 and last and last[-1][0] == Event.RESULT:
        return [*last, (Event.DONE, {})]
    errors = [entry for entry in last if entry[0] == Event.ERROR]
    return errors[-1:] or [(Event.ERROR, _crash(code))]


def _follow(journal: Journal, request: JobRequest, process: JobProcess, last: list[Entry]) -> None:
    """Pass on what it says until it falls silent; what ends the job is held back in `last`."""
    started = time.monotonic()
    waiting: list[Entry] = []
    open_ended, wrote = True, 0.0
    while open_ended:
        said, open_ended = process.listen(_TICK)
        for entry in said:
            (last if entry[0] in (Event.RESULT, Event.ERROR) else waiting).append(entry)
        if time.monotonic() - wrote >= _TICK or not open_ended:
            wrote = time.monotonic()
            if journal.write(waiting):
                raise _Ended("cancelled", "The job was cancelled.")
            waiting.clear()
            _check_limits(request, process.memory(), wrote - started)


def _check_limits(request: JobRequest, memory: int, seconds: float) -> None:
    if memory > request.memory_limit:
        raise _Ended(
            "memory_limit",
            f"The job used {memory / 2**30:.1f} GiB of memory, more than the {request.memory_limit / 2**30:.1f} GiB "
            "it may have, and was ended. Raise JOB_MEMORY_LIMIT_GB, or import a smaller model.",
        )
    if seconds > request.time_limit:
        raise _Ended(
            "time_limit",
            f"The job was not done after {request.time_limit:.0f} seconds and was ended. Raise JOB_TIME_LIMIT.",
        )


def _crash(code: int) -> dict[str, Any]:
    if code == -9:
        message = "The system killed the job, most likely for lack of memory."
    else:
        message = f"The job's process ended with exit code {code}; the end of its log says why."
    return {"type": "internal", "message": message}
