"""Parameters of a user's environment, read from the places that hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...common.errors import UserError
from ...common.spelling import nearest
from ..parameters import Parameter
from . import paths
from .config import UserParameter
from .source import Source, arguments


def read_parameters(
    declared: Mapping[str, UserParameter], source: Source, own: Mapping[str, Any], env: Any
) -> dict[str, Parameter]:
    """Return the parameters with their nominal values, read from an `env` that has been reset.

    own: arguments of this environment alone. Raises UserError: a target does not exist, or a
    nominal value is missing or out of range.
    """
    kwargs = source.kwargs | dict(own)
    return {name: _parameter(name, p, source, kwargs, env) for name, p in declared.items()}


def _parameter(
    name: str, declared: UserParameter, source: Source, kwargs: Mapping[str, Any], env: Any
) -> Parameter:
    key = f"environment.parameters.{name}"
    held = [_held(path, source, kwargs, env, f"{key}.target") for path in declared.targets]
    nominal = held[0] if declared.nominal is None else declared.nominal
    if isinstance(nominal, (bool, np.bool_)) or not isinstance(nominal, (int, float, np.number)):
        raise UserError(f"{key}.nominal: {_why_no_number(nominal, declared)}")
    low = -math.inf if declared.low is None else declared.low
    high = math.inf if declared.high is None else declared.high
    if not low <= nominal <= high:
        raise UserError(f"{key}.nominal: must stay within [{low:g}, {high:g}]; got {nominal:g}")
    whole = all(isinstance(v, (int, np.integer)) for v in (nominal, held[0]) if _is_number(v))
    return Parameter(float(nominal), declared.unit, low, high, declared.meaning, is_whole=whole)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _why_no_number(nominal: Any, declared: UserParameter) -> str:
    text = declared.targets[0].text
    if callable(nominal):
        return f"required, because {text!r} is a method"
    if nominal is None:
        return f"required, because {text!r} has no value yet"
    return f"must be a number; got {nominal!r} from {text!r}"


def _held(path: paths.Path, source: Source, kwargs: Mapping[str, Any], env: Any, key: str) -> Any:
    """Return the target's value: the attribute, the configured argument, or its default.

    Returns None for an argument that is not configured and has no default.
    """
    if path.is_attribute:
        return _attribute(path, env, key)
    argument = arguments(source).get(path.argument)
    default = None if argument is None or argument.default is argument.empty else argument.default
    try:
        return paths.read(kwargs.get(path.argument, default), path.parts[1:])
    except paths.MissingPartError:
        return None


def _attribute(path: paths.Path, env: Any, key: str) -> Any:
    try:
        return paths.read(env, path.parts)
    except paths.MissingPartError as missing:
        owner, part = missing.owner, missing.part
    kind = type(owner).__name__
    if isinstance(part, paths.Item):
        raise UserError(f"{key}: {path.text!r} does not exist: {kind} has no item {part.key!r}")
    raise UserError(
        f"{key}: {path.text!r} does not exist: {kind} has no attribute "
        f"{part!r}{nearest(part, dir(owner))}"
    )
