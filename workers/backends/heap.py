"""Memory that a load has freed goes back to the system. glibc keeps it otherwise: a third of what a small int8 model
takes is the file as it was read, which nobody needs once its weights are laid out."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Does nothing where the C library is another one."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
