"""Parameters of a user's environment, read from the places that hold them."""

from __future__ import annotations

import functools
import logging
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

_LOG = logging.getLogger(__name__)


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
    numbers = [n for n in map(paths.number_of, held) if n is not None]
    nominal = paths.number_of(held[0]) if declared.nominal is None else declared.nominal
    if nominal is None:
        raise UserError(f"{key}.nominal: {_why_no_number(held[0], declared)}")
    _require_settable(held, declared, key)
    if declared.nominal is None and not all(math.isclose(n, nominal) for n in numbers):
        _warn(
            f"{key}: the targets hold different values, {', '.join(f'{n:g}' for n in numbers)}; "
            f"each gets the same value, and the nominal one is {nominal:g}"
        )
    low = -math.inf if declared.low is None else declared.low
    high = math.inf if declared.high is None else declared.high
    if not low <= nominal <= high:
        raise UserError(f"{key}.nominal: must stay within [{low:g}, {high:g}]; got {nominal:g}")
    return Parameter(
        float(nominal),
        declared.unit,
        low,
        high,
        declared.meaning,
        is_whole=_is_whole(numbers, declared),
    )


@functools.cache
def _warn(text: str) -> None:
    """Log a warning once per process."""
    _LOG.warning(text)


def require_one_nominal(
    declared: Mapping[str, UserParameter],
    parameters: Mapping[str, Parameter],
    env: Any,
    *,
    here: Any,
    first: Any,
) -> None:
    """Raise UserError if an environment has another nominal value, which would be overwritten.

    env: a new environment at the site `here`. The parameters are those of the site `first`.
    """
    for name, parameter in declared.items():
        nominal = parameters[name].nominal
        for path in parameter.targets if parameter.nominal is None else ():
            held = paths.number_or_none(env, path)
            if held is not None and not math.isclose(held, nominal):
                raise UserError(
                    f"environment.parameters.{name}.nominal: required, because {path.text!r} is "
                    f"{held:g} at {here} and {nominal:g} at {first}; every site gets the same value"
                )


def _is_whole(numbers: list[int | float], declared: UserParameter) -> bool:
    """Return true if every value must be a whole number, as the places hold it."""
    if declared.nominal is None:
        return any(isinstance(n, int) for n in numbers)
    return isinstance(declared.nominal, int) and all(isinstance(n, int) for n in numbers[:1])


def _require_settable(held: list[Any], declared: UserParameter, key: str) -> None:
    """Raise UserError if an attribute or element holds something else than one number."""
    for path, value in zip(declared.targets, held, strict=True):
        free = not path.is_attribute or value is None or callable(value)
        if not free and paths.number_of(value) is None:
            text = " ".join(repr(value).split())
            raise UserError(
                f"{key}.target: must hold one number; got {text[:80]} from {path.text!r}"
            )


def _why_no_number(nominal: Any, declared: UserParameter) -> str:
    text = declared.targets[0].text
    if callable(nominal):
        return f"required, because {text!r} is a method"
    if nominal is None:
        return f"required, because {text!r} has no value yet"
    if isinstance(nominal, np.ndarray) and nominal.size:
        first = ",".join("0" * nominal.ndim)
        return (
            f"must be a number; {text!r} is an array of shape {nominal.shape}, so name its "
            f"elements in target, {text}[{first}]"
        )
    if isinstance(nominal, (Mapping, list, tuple)) and nominal:
        first = next(iter(nominal)) if isinstance(nominal, Mapping) else "0"
        return (
            f"must be a number; {text!r} is a {type(nominal).__name__}, so name its items in "
            f"target, {text}[{first}]"
        )
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
