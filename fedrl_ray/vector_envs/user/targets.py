"""What a parameter of a user's environment sets: an argument, or an attribute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...common.errors import UserError
from ...common.spelling import nearest
from ..parameters import Parameter
from .config import UserParameter
from .source import Source, arguments, is_attribute


def missing_part(env: Any, path: str) -> tuple[Any, str] | None:
    """The object and the first part of a path that it lacks; None where the path exists."""
    owner = env
    for part in path.split("."):
        if not hasattr(owner, part):
            return owner, part
        owner = getattr(owner, part)
    return None


def read(env: Any, path: str) -> Any:
    """The value of a dotted attribute that exists."""
    for part in path.split("."):
        env = getattr(env, part)
    return env


def write(env: Any, path: str, value: float) -> None:
    """Set a dotted attribute that exists."""
    owner, _, name = path.rpartition(".")
    setattr(read(env, owner), name, value)


def read_parameters(
    declared: Mapping[str, UserParameter], source: Source, env: Any
) -> dict[str, Parameter]:
    """The parameters with their nominal values; `env` has been reset. Raises UserError."""
    return {name: _parameter(name, p, source, env) for name, p in declared.items()}


def _parameter(name: str, declared: UserParameter, source: Source, env: Any) -> Parameter:
    key = f"environment.parameters.{name}"
    default = _default(declared.target, source, env, key=f"{key}.target")
    nominal = default if declared.nominal is None else declared.nominal
    if isinstance(nominal, bool) or not isinstance(nominal, (int, float, np.number)):
        raise UserError(f"{key}.nominal: give a number; {declared.target!r} holds {nominal!r}")
    low = -math.inf if declared.low is None else declared.low
    high = math.inf if declared.high is None else declared.high
    if not low <= nominal <= high:
        raise UserError(f"{key}.nominal must stay within [{low:g}, {high:g}], got {nominal:g}")
    return Parameter(float(nominal), declared.unit, low, high, declared.meaning)


def _default(target: str, source: Source, env: Any, *, key: str) -> Any:
    """What the target holds: the attribute, or the argument by configuration or signature; None
    for an argument without default."""
    if is_attribute(target):
        _require_path(env, target, key)
        return read(env, target)
    argument = arguments(source).get(target)
    default = None if argument is None or argument.default is argument.empty else argument.default
    return source.kwargs.get(target, default)


def _require_path(env: Any, path: str, key: str) -> None:
    lacking = missing_part(env, path)
    if lacking is not None:
        owner, part = lacking
        raise UserError(
            f"{key}: {path!r} does not exist: {type(owner).__name__} has no attribute "
            f"{part!r}{nearest(part, dir(owner))}"
        )
