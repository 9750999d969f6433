"""A recipe by its name: `v1.sst2` is the function sst2 in workers/recipes/v1.py."""

from __future__ import annotations

import dataclasses
import importlib
import re
from typing import Any, get_type_hints

# By name, because recipes are made of what stands here.
_PACKAGE = "workers.recipes"


def load_recipe(name: str) -> Any:
    """The configuration. Raises ValueError."""
    if not re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name):
        raise ValueError(f"A recipe is called file.function, such as v1.sst2, not {name!r}.")
    file, function = name.split(".")
    try:
        return getattr(importlib.import_module(f"{_PACKAGE}.{file}"), function)()
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"There is no recipe {name}.") from error


def changed(config: Any, changes: dict[str, Any]) -> Any:
    """A copy with these fields; those of the training options too, whose names are different. Raises ValueError."""
    own = {field.name for field in dataclasses.fields(config)}
    inner = {field.name for field in dataclasses.fields(config.options)}
    if unknown := set(changes) - own - inner:
        raise ValueError(f"The recipe has no {', '.join(sorted(unknown))}.")
    options = {name: _as_typed(config.options, name, value) for name, value in changes.items() if name in inner}
    mine = {name: _as_typed(config, name, value) for name, value in changes.items() if name in own}
    return dataclasses.replace(config, **mine, options=dataclasses.replace(config.options, **options))


def _as_typed(config: Any, name: str, value: Any) -> Any:
    """Text from a command line to what the field is."""
    kind = get_type_hints(type(config))[name]
    if not isinstance(value, str) or kind is str:
        return value
    if kind is bool:
        return value.lower() in {"1", "true", "yes"}
    return kind(value) if kind in (int, float) else value
