"""Wrappers that a configuration puts around a user's environment."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
from gymnasium.wrappers import FlattenObservation

from ...common.errors import UserError, one_line
from ...common.spelling import nearest
from ..actions import short
from ..data_faults import DataError
from .config import GymnasiumConfig, Wrapper
from .imports import find_callable

Wrap = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


def wraps_of(config: GymnasiumConfig) -> tuple[Wrap, ...]:
    """Return the wrappers of a configuration, from the inside out.

    Raises UserError: a wrapper does not exist, or takes other arguments.
    """
    wraps = [_named(number, item) for number, item in enumerate(config.wrappers)]
    return tuple([*wraps, _flatten] if config.flatten else wraps)


def _named(number: int, item: Wrapper | str) -> Wrap:
    given = Wrapper(wrapper=item) if isinstance(item, str) else item
    key = f"environment.wrappers.{number}"
    cls = find_callable(given.wrapper, key)
    known = inspect.signature(cls).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        for name in given.kwargs:
            if name not in known:
                raise UserError(
                    f"{key}.kwargs.{name}: {given.wrapper} takes no argument {name!r}"
                    f"{nearest(name, known)}; known: {', '.join(known)}"
                )
    return partial(_wrap, cls, given, key)


def _wrap(
    cls: Callable[..., Any], given: Wrapper, key: str, env: gymnasium.Env[Any, Any]
) -> gymnasium.Env[Any, Any]:
    try:
        wrapped = cls(env, **copy.deepcopy(given.kwargs))
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(
            f"{key}: {given.wrapper} refuses this environment: {one_line(error)}"
        ) from error
    if not isinstance(wrapped, gymnasium.Env):
        raise UserError(
            f"{key}: {given.wrapper} must return a gymnasium.Env; got {type(wrapped).__name__}"
        )
    return wrapped


class _Flattened(FlattenObservation[Any, Any, Any]):
    """Flattened observations, with an error of ours for one that does not fit its space."""

    def observation(self, observation: Any) -> Any:
        """Return the flat observation. Raises DataError: it does not fit the space."""
        try:
            return super().observation(observation)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            space = short(self.env.observation_space)
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise DataError(f"the observation must fit {space}; {reason}") from None


def _flatten(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    try:
        flat: gymnasium.Env[Any, Any] = _Flattened(env)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"environment.flatten: {short(env.observation_space)} cannot be flattened: "
            f"{one_line(error)}"
        ) from None
    if not isinstance(flat.observation_space, gymnasium.spaces.Box):
        raise UserError(
            "environment.flatten: must lead to a vector of fixed length; got "
            f"{short(flat.observation_space)} from {short(env.observation_space)}"
        )
    return flat
