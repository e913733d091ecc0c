"""The source of a user's environment: a registered id, a name known to Ray, or a factory."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator, registry
from gymnasium.wrappers import TimeLimit

from ...common.errors import UserError
from ...common.spelling import nearest
from .config import GymnasiumConfig
from .ray_registry import registered_creator


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


def find_source(config: GymnasiumConfig) -> Source:
    """Look up the environment. Raises UserError: it does not exist, or an argument is wrong."""
    if config.id is not None:
        source = _registered(config.id, config.kwargs)
    else:
        factory = _factory(str(config.factory))
        source = Source("environment.factory", factory, factory, dict(config.kwargs), None)
    for name in config.kwargs:
        _require_argument(source, name, f"environment.kwargs.{name}")
    source = source._replace(kwargs=source.kwargs | _nominal_arguments(source, config))
    _check_complete(source)
    return source


def create(
    source: Source, values: Mapping[str, float] = {}
) -> tuple[gymnasium.Env[Any, Any], int | None]:
    """Return an environment and its time limit in steps, without the wrapper of the limit.

    The vector environment counts the steps itself, so that it can save and restore the count.
    """
    env: Any = source.make(**source.kwargs | dict(values))
    limit = source.max_episode_steps
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"{source.key}: must make a gymnasium.Env; got {type(env).__name__}")
    while isinstance(env, TimeLimit):
        env, limit = env.env, env._max_episode_steps
    return env, limit


def is_attribute(target: str) -> bool:
    """Return true if a target is the dotted path of an attribute, not an argument's name."""
    return "." in target


def arguments(source: Source) -> Mapping[str, inspect.Parameter]:
    """Return the arguments of the constructor by name."""
    return inspect.signature(source.creator).parameters


def _registered(env_id: str, kwargs: Mapping[str, Any]) -> Source:
    module, _, name = env_id.rpartition(":")
    if module:
        _import(module, "environment.id")
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


def _factory(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    if not (module and name):
        raise UserError(f"environment.factory: must be package.module:callable; got {path!r}")
    found = _import(module, "environment.factory")
    factory: Callable[..., Any] | None = getattr(found, name, None)  # the user names it
    if not callable(factory):
        raise UserError(
            f"environment.factory: {module} has no callable {name!r}{nearest(name, dir(found))}"
        )
    return factory


def _import(module: str, key: str) -> ModuleType:
    if not all(module.split(".")) or "\0" in module:
        raise UserError(f"{key}: must name a module like an import, package.module; got {module!r}")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"{key}: PYTHONPATH has no module {error.name!r}") from None


def _nominal_arguments(source: Source, config: GymnasiumConfig) -> dict[str, float]:
    """Return the nominal values of parameters whose target is an argument."""
    declared = {n: p for n, p in config.parameters.items() if not is_attribute(p.target)}
    for name, parameter in declared.items():
        _require_argument(source, parameter.target, f"environment.parameters.{name}.target")
    return {p.target: p.nominal for p in declared.values() if p.nominal is not None}


def _require_argument(source: Source, name: str, key: str) -> None:
    known = arguments(source)
    if name in known or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    raise UserError(
        f"{key}: {source.key} takes no argument {name!r}{nearest(name, known)}; "
        f"known: {', '.join(known) or 'none'} (an attribute needs a dotted path, unwrapped.{name})"
    )


def _check_complete(source: Source) -> None:
    for name, argument in arguments(source).items():
        variadic = argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
        if argument.default is argument.empty and not variadic and name not in source.kwargs:
            raise UserError(f"environment.kwargs.{name}: missing; required by {source.key}")
