"""A short trial of a user's environment, before anything starts.

The trial refuses an environment that no run could use, finds a way to resume it, and measures its
memory. It holds one environment open at a time. An exception that the environment raises keeps its
traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from gymnasium import spaces

from algorithms.types import Spec

from ..episode_seeds import EpisodeSeeds
from ..parameters import Parameter
from .adapter import UserEnv, spec_of
from .checks import check_effect, check_reset, check_steps
from .closing import trying
from .config import GymnasiumConfig
from .memory import resident_after_collection
from .resuming import find_resume, saves_itself
from .source import Source, create
from .stale import stale_attributes
from .targets import read_parameters
from .vector_env import Resume, UserVectorEnv

_LOG = logging.getLogger(__name__)


class Spaces(NamedTuple):
    """Spaces of the first environment."""

    observation: spaces.Space[Any]
    action: spaces.Space[Any]


class Inspected(NamedTuple):
    """Facts of the first environment: parameters by name, spec and spaces."""

    parameters: dict[str, Parameter]
    spec: Spec
    spaces: Spaces


class Builder(NamedTuple):
    """A constructor of the family's environments, and what the trial must know of them.

    nominal: the value of every parameter. key: configuration key that errors name.
    """

    build: Callable[[Mapping[str, float]], UserEnv]
    spec: Spec
    nominal: Mapping[str, float]
    key: str


class Trial(NamedTuple):
    """Results of a trial. resume: the way to resume exactly, or None."""

    resume: Resume | None

    @classmethod
    def of(
        cls,
        builder: Builder,
        config: GymnasiumConfig,
        ranges: Mapping[str, tuple[float, float]],
    ) -> Trial:
        """Run the trial of a configuration.

        ranges: low and high end of each perturbed parameter. Raises UserError: the environment
        breaks a rule.
        """
        env = builder.build(builder.nominal)
        with trying(env, builder.key):
            steps = check_steps(env, builder.spec, builder.key)
            saves = saves_itself(env)
        _check_effects(builder, config, ranges, steps)
        make = partial(_vector_env, builder)
        return cls(find_resume(make, builder.spec, steps, saves=saves))


_MEMORY: dict[str, int] = {}
"""Configuration -> bytes of one environment."""


def memory_of_one(builder: Builder, config: GymnasiumConfig) -> int:
    """Return the bytes by which one environment makes this process grow, measured once."""
    known = config.model_dump_json()
    if known not in _MEMORY:
        before = resident_after_collection()
        env = builder.build(builder.nominal)
        with trying(env, builder.key):
            check_steps(env, builder.spec, builder.key)
            _MEMORY[known] = resident_after_collection() - before
    return _MEMORY[known]


def inspect(config: GymnasiumConfig, source: Source, own: Mapping[str, Any]) -> Inspected:
    """Return the facts of the first environment, whose further arguments are `own`.

    Raises UserError: no run could use it.
    """
    env, limit = create(source, own)
    limit = limit if config.max_episode_steps is None else config.max_episode_steps
    with trying(env, source.key):
        spec = spec_of(env, limit, source.key)
        check_reset(env, source.key)
        parameters = read_parameters(config.parameters, source, own, env)
        return Inspected(parameters, spec, Spaces(env.observation_space, env.action_space))


def _vector_env(builder: Builder, spec: Spec, resume: Resume) -> UserVectorEnv:
    """Return one nominal environment, for the trial of resuming."""
    seeds = EpisodeSeeds.of_grid(0, [0], 1, labels=["trial"])
    return UserVectorEnv(
        spec,
        [builder.build(builder.nominal)],
        seeds,
        retire=False,
        resume=resume,
        on_mismatch=lambda: None,
    )


def _check_effects(
    builder: Builder,
    config: GymnasiumConfig,
    ranges: Mapping[str, tuple[float, float]],
    steps: int,
) -> None:
    nominal = builder.nominal
    for name, ends in ranges.items():
        values = tuple(dict.fromkeys((nominal[name], *ends)))
        if len(values) > 1 and config.parameters[name].verify:
            builds = {v: partial(builder.build, {**nominal, name: v}) for v in values}
            check_effect(name, builds, builder.spec, steps)
            _warn_of_stale(builder, config, name, values[1])


def _warn_of_stale(builder: Builder, config: GymnasiumConfig, name: str, value: float) -> None:
    """Log attributes that look derived from a parameter's old value."""
    targets = config.parameters[name].targets
    written = frozenset(path for p in config.parameters.values() for path in p.targets)
    env = builder.build({**builder.nominal, name: value})
    with trying(env, builder.key):
        env.reset(seed=0)
        for path in targets:
            for stale in stale_attributes(env.env, path, builder.nominal[name], written):
                _LOG.warning(
                    "environment.parameters.%s: %s looks derived from %s, and keeps its old value "
                    "when %s is set; set both in a method, and name the method as the target",
                    name, stale, path.text, path.text,
                )  # fmt: skip
