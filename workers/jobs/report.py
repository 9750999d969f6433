"""What a job's process says to the worker that started it: one JSON object a line, on a pipe of its own.

Standard output and standard error are the job's log, whoever writes there.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from contracts.messages import JobRequest

PIPE = "JOB_PIPE"  # environment: number of the file descriptor


class JobError(RuntimeError):
    """Why the job failed and what to do about it, in one sentence for the administrator."""


class Report:
    """`progress`, then `result` once."""

    def __init__(self, pipe: TextIO) -> None:
        self._pipe = pipe
        self._fraction = 0.0

    def progress(self, stage: str, fraction: float, **more: Any) -> None:
        """`fraction` of the whole job, 0 to 1; it never goes back. `more` is what this kind of job tells besides."""
        self._fraction = max(self._fraction, fraction)
        self._say("progress", {"stage": stage, "fraction": round(self._fraction, 3), **more})

    def share(self, stage: str, begin: float, end: float, fraction: float) -> None:
        """`fraction` of a stage that goes from `begin` to `end` of the job."""
        self.progress(stage, begin + (end - begin) * fraction)

    def result(self, data: dict[str, Any]) -> None:
        self._say("result", data)

    def error(self, message: str) -> None:
        self._say("error", {"type": "refused", "message": message})

    def _say(self, event: str, data: dict[str, Any]) -> None:
        self._pipe.write(json.dumps([event, data]) + "\n")
        self._pipe.flush()


Run = Callable[[JobRequest, Path, Report], dict[str, Any]]


def main(run: Run) -> int:
    """Do the job that standard input describes, in the folder that is the first argument."""
    request = JobRequest.from_json(sys.stdin.read())
    with os.fdopen(int(os.environ[PIPE]), "w") as pipe:
        report = Report(pipe)
        try:
            report.result(run(request, Path(sys.argv[1]), report))
        except JobError as error:
            report.error(str(error))
            return 1
        except MemoryError:
            report.error("The job needs more memory than this machine gives it.")
            return 1
    return 0
