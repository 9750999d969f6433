"""The installation that a benchmark asks: one that runs, or one of its own in a scratch folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.stack import EMAIL, PASSWORD, Stack, start_stack


@contextmanager
def installation(url: str | None, var: Path) -> Iterator[Stack]:
    """A stack with its administrator; one that was started here is stopped at the end."""
    if url:
        stack = Stack(url, var)
    else:
        os.environ["E2E_VAR"] = str(var.resolve())
        stack = start_stack()
    try:
        stack.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
        yield stack
    finally:
        if not url:
            stack.stop()
