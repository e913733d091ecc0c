"""The source of a user's environment: a registered id, a name known to Ray, or a factory."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator, registry
from gymnasium.wrappers import TimeLimit

from ...common.errors import UserError, one_line
from ...common.spelling import nearest
from . import paths
from .config import GymnasiumConfig
from .imports import find_callable, import_module
from .ray_registry import registered_creator
from .wrapping import Wrap, wraps_of


class Source(NamedTuple):
    """Constructor, arguments and time limit of a user's environment."""

    key: str
    """Configuration key that errors name."""
    creator: Callable[..., Any]
    """Constructor or factory, whose signature names the arguments."""
    make: Callable[..., Any]
    """Function that makes an environment from keyword arguments."""
    kwargs: dict[str, Any]
    """Registered and configured arguments, including nominal values of parameters."""
    max_episode_steps: int | None
    """Registered time limit in steps."""
    wraps: tuple[Wrap, ...] = ()
    """Wrappers to apply, from the inside out."""


def find_source(config: GymnasiumConfig) -> Source:
    """Look up the environment. Raises UserError: it does not exist, or an argument is wrong."""
    if config.id is not None:
        source = _registered(config.id, config.kwargs)
    else:
        factory = find_callable(str(config.factory), "environment.factory")
        source = Source("environment.factory", factory, factory, dict(config.kwargs), None)
    for name in config.kwargs:
        require_argument(source, name, f"environment.kwargs.{name}")
    return _with_nominal(source._replace(wraps=wraps_of(config)), config)


def create(
    source: Source, own: Mapping[str, Any] = {}, values: Mapping[paths.Path, float] = {}
) -> tuple[gymnasium.Env[Any, Any], int | None]:
    """Return an environment and its time limit in steps, without the wrapper of the limit.

    own: arguments of this one environment. values: parameters that are arguments. The vector
    environment counts the steps itself, so that it can save and restore the count.
    """
    kwargs = copy.deepcopy(source.kwargs | dict(own))  # an environment may write to its arguments
    for path, value in values.items():
        kwargs[path.argument] = paths.with_item(kwargs.get(path.argument), path.parts[1:], value)
    env: Any = _made(source, kwargs)
    limit = source.max_episode_steps
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"{source.key}: must make a gymnasium.Env; got {type(env).__name__}")
    _require_spaces(env, source.key)
    for wrap in (_unlimited, *source.wraps):
        env = wrap(env)
        while isinstance(env, TimeLimit):
            env, limit = env.env, env._max_episode_steps
    return env, limit


def _made(source: Source, kwargs: dict[str, Any]) -> Any:
    try:
        return source.make(**kwargs)
    except TypeError as error:
        # a constructor that passes **kwargs on tells only now which names it takes
        found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if found is None or found[1] not in kwargs:
            raise
        raise UserError(
            f"{source.key}: takes no argument {found[1]!r}: {one_line(error)}"
        ) from error


def _require_spaces(env: Any, key: str) -> None:
    for name in ("observation_space", "action_space"):
        space = getattr(env, name, None)  # a class that sets none has no such attribute
        if not isinstance(space, gymnasium.spaces.Space):
            raise UserError(
                f"{key}: {name} must be a space of gymnasium.spaces, set in __init__; got "
                f"{'none' if space is None else type(space).__name__}"
            )


def _unlimited(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return env


def arguments(source: Source) -> Mapping[str, inspect.Parameter]:
    """Return the arguments of the constructor by name."""
    return inspect.signature(source.creator).parameters


def _registered(env_id: str, kwargs: Mapping[str, Any]) -> Source:
    module, _, name = env_id.rpartition(":")
    if module:
        import_module(module, "environment.id")
    if name not in registry and (made := registered_creator(name)):
        return Source("environment.id", made, made, dict(kwargs), None)
    spec = _spec(name)
    entry: Any = spec.entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    make = partial(gymnasium.make, name, max_episode_steps=-1, disable_env_checker=True)
    merged = dict(spec.kwargs) | dict(kwargs)
    return Source("environment.id", creator, make, merged, spec.max_episode_steps)


def _spec(name: str) -> EnvSpec:
    try:
        return gymnasium.spec(name)
    except gymnasium.error.Error:
        raise UserError(
            f"environment.id: must be registered; got {name!r}{nearest(name, registry)}; an id may "
            "name the module that registers it, package.module:MyEnv-v0"
        ) from None


def _with_nominal(source: Source, config: GymnasiumConfig) -> Source:
    """Return the source with the configured nominal values of parameters that are arguments."""
    kwargs = dict(source.kwargs)
    for name, parameter in config.parameters.items():
        for path in parameter.targets:
            if path.is_attribute:
                continue
            key = f"environment.parameters.{name}.target"
            require_argument(source, path.argument, key)
            if parameter.nominal is None:
                continue
            try:
                held = kwargs.get(path.argument)
                kwargs[path.argument] = paths.with_item(held, path.parts[1:], parameter.nominal)
            except (TypeError, IndexError, ValueError):
                raise UserError(
                    f"{key}: {path.text!r} is not an item of environment.kwargs."
                    f"{path.argument}; got {held!r}"
                ) from None
    return source._replace(kwargs=kwargs)


def require_argument(source: Source, name: str, key: str) -> None:
    """Raise UserError if the constructor does not take an argument."""
    known = arguments(source)
    if name in known or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    raise UserError(
        f"{key}: {source.key} takes no argument {name!r}{nearest(name, known)}; "
        f"known: {', '.join(known) or 'none'} (an attribute needs a dotted path, unwrapped.{name})"
    )


def require_complete(source: Source, own: Mapping[str, Any], key: str) -> None:
    """Raise UserError, which names `key`, if an argument without a default is given nowhere."""
    for name, argument in arguments(source).items():
        variadic = argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
        given = name in source.kwargs or name in own
        if argument.default is argument.empty and not variadic and not given:
            raise UserError(f"{key}.{name}: missing; required by {source.key}")
