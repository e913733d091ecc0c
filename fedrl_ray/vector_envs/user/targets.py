"""Targets of the parameters of a user's environment: constructor arguments and attributes.

Users name an attribute by its dotted path, so it is looked up by name.
"""

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
    """Return the object that lacks a part of the path, and that part; None if the path exists."""
    owner = env
    for part in path.split("."):
        if not hasattr(owner, part):
            return owner, part
        owner = getattr(owner, part)
    return None


def read(env: Any, path: str) -> Any:
    """Return the value of an existing dotted attribute."""
    for part in path.split("."):
        env = getattr(env, part)
    return env


def write(env: Any, path: str, value: float) -> None:
    """Set an existing dotted attribute."""
    owner, _, name = path.rpartition(".")
    setattr(read(env, owner), name, value)


def read_parameters(
    declared: Mapping[str, UserParameter], source: Source, env: Any
) -> dict[str, Parameter]:
    """Return the parameters with their nominal values, read from an `env` that has been reset.

    Raises UserError: a target does not exist, or a nominal value is missing or out of range.
    """
    return {name: _parameter(name, p, source, env) for name, p in declared.items()}


def _parameter(name: str, declared: UserParameter, source: Source, env: Any) -> Parameter:
    key = f"environment.parameters.{name}"
    default = _default(declared.target, source, env, key=f"{key}.target")
    nominal = default if declared.nominal is None else declared.nominal
    if isinstance(nominal, bool) or not isinstance(nominal, (int, float, np.number)):
        raise UserError(
            f"{key}.nominal: must be a number; got {nominal!r} from {declared.target!r}"
        )
    low = -math.inf if declared.low is None else declared.low
    high = math.inf if declared.high is None else declared.high
    if not low <= nominal <= high:
        raise UserError(f"{key}.nominal: must stay within [{low:g}, {high:g}]; got {nominal:g}")
    return Parameter(float(nominal), declared.unit, low, high, declared.meaning)


def _default(target: str, source: Source, env: Any, *, key: str) -> Any:
    """Return the target's value: the attribute, the configured argument, or its default.

    Returns None for an argument that is not configured and has no default.
    """
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
