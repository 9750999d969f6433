"""A gate is another app's say in whether a request is taken, asked in the same script that saves the request.

Its Lua defines `local function admit(args)`, which answers two values: whether the request may be saved, and a list
that `read` turns into an exception or remembers. What it has changed in Redis stays when the request is admitted; when
it is not, it must have changed nothing that matters. It finds its keys in its arguments, so it needs a Redis without
slots, as the hub does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.messages import InferenceRequest


@dataclass(frozen=True, slots=True)
class Gate:
    lua: str
    args: list[str | float]
    fields: tuple[str, ...]  # of the request's hash, names and values in turn
    read: Callable[[list[Any]], None]  # the answer of `admit`; raises what refuses the request


# A request and the most tokens its model can write; asked when the request is about to be saved.
Admit = Callable[[InferenceRequest, int], Gate]

OPEN = "local function admit() return true end"
