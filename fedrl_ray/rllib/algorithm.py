"""The AlgorithmConfig of an experiment with `learner: {name: rllib}`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.registry import ALGORITHMS

from algorithms.types import Spec

from ..common.errors import UserError, one_line
from ..common.spelling import nearest
from .config_keys import require_kind
from .environment import AgentEnv, spaces_of
from .settings import RLlibSettings

ON_POLICY = ("APPO", "IMPALA", "PPO")
"""Algorithms whose training iteration is one batch of fresh steps."""
ASYNCHRONOUS = ("APPO", "IMPALA")
"""Algorithms that learn in a thread of their own."""
OFF_POLICY = ("DQN", "SAC")
"""Algorithms whose training iteration has a given number of steps, each with a minibatch."""
_ELSEWHERE = {
    "BC": "learns from recorded episodes",
    "CQL": "learns from recorded episodes",
    "IQL": "learns from recorded episodes",
    "MARWIL": "learns from recorded episodes",
    "DreamerV3": "acts through a world model, so weights alone do not give its policy",
}

_TAKEN: dict[str, tuple[str, ...] | None] = {
    "training": None,
    "rl_module": ("model_config",),
    "env_runners": ("num_envs_per_env_runner", "rollout_fragment_length", "explore"),
    "environment": ("clip_rewards", "normalize_actions", "clip_actions"),
}
"""Methods of AlgorithmConfig, with the arguments that a file may give; None: all."""
_NOT_PLAIN = (
    "broadcast_interval",
    "circular_buffer_iterations_per_batch",
    "circular_buffer_num_batches",
    "use_circular_buffer",
    "learner_class",
    "learner_connector",
    "learner_config_dict",
    "add_default_connectors_to_learner_pipeline",
    "model",
    "optimizer",
    "train_batch_size",
)
"""Arguments of `training` that a file may not give.

They are set here, are classes or callables, or belong to RLlib's old API.
"""


def algorithm_config(settings: RLlibSettings, spec: Spec) -> AlgorithmConfig:
    """Return the configuration of one local agent, without its environment.

    It has one env runner and one learner, both in this process. Raises UserError: RLlib does not
    take the algorithm or a key.
    """
    config = _default_config(settings.algorithm)
    _apply(config, settings.config)
    obs_space, action_space = spaces_of(spec)
    if dict(config.model_config).get("use_lstm"):
        raise UserError(
            "learner.config.model_config.use_lstm: must be false, because a local agent keeps no "
            "recurrent state; got true"
        )
    config.environment(observation_space=obs_space, action_space=action_space)
    config.env_runners(num_env_runners=0, gym_env_vectorize_mode="vector_entry_point")
    config.learners(num_learners=0, num_gpus_per_learner=0)
    config.debugging(log_level="ERROR", log_sys_usage=False)
    config.reporting(min_time_s_per_iteration=None)
    if settings.omega:
        from .robust import robust

        config = robust(config, omega=settings.omega, expectile=settings.expectile)
    return config


def check_settings(settings: RLlibSettings, spec: Spec, sync_interval: int) -> None:
    """Raise UserError if RLlib does not take the algorithm, a key or the length of an iteration."""
    config = algorithm_config(settings, spec)
    length = iteration_steps(settings, sync_interval)
    if settings.interval_unit == "steps" and sync_interval % length:
        raise UserError(
            f"learner.iteration_steps: must divide federation.sync_interval ({sync_interval}); "
            f"got {length}"
        )
    set_iteration(config, length)
    try:
        config.environment(AgentEnv).validate()
    except (ValueError, TypeError, KeyError, NotImplementedError, ImportError) as error:
        raise UserError(f"learner.config: {one_line(error)}") from None


def iteration_steps(settings: RLlibSettings, sync_interval: int) -> int:
    """Return the environment steps of one training iteration."""
    return settings.iteration_steps or sync_interval


def set_iteration(config: AlgorithmConfig, steps: int) -> None:
    """Make a training iteration `steps` environment steps long.

    Raises UserError: an asynchronous algorithm cannot divide them among its environments.
    """
    if _name_of(config) in ON_POLICY:
        config.training(train_batch_size_per_learner=steps)
    else:
        config.reporting(min_sample_timesteps_per_iteration=steps)
    if _name_of(config) in ASYNCHRONOUS:
        _take_turns(config, steps)


def _take_turns(config: Any, steps: int) -> None:
    """Make the algorithm learn from a batch before it samples the next one.

    By default, RLlib's learner and its env runner work at the same time.
    """
    copies = config.num_envs_per_env_runner
    if steps % copies:
        raise UserError(
            f"learner.config.num_envs_per_env_runner: must divide the {steps} steps of an "
            f"iteration for {_name_of(config)}; got {copies}"
        )
    config.env_runners(rollout_fragment_length=steps // copies)
    config.learners(num_aggregator_actors_per_learner=0)
    config.training(broadcast_interval=1)
    if _name_of(config) == "APPO":  # with it, waiting for a reused batch may never end
        config.training(use_circular_buffer=False)


def _name_of(config: AlgorithmConfig) -> str:
    return config.algo_class.__name__ if config.algo_class else "none"


def _default_config(name: str) -> AlgorithmConfig:
    known = (*ON_POLICY, *OFF_POLICY)
    if name in known:
        build: Any = ALGORITHMS[name]
        return cast(AlgorithmConfig, build()[1])
    if name in ALGORITHMS:
        why = _ELSEWHERE.get(name, "is not supported as a local agent")
        raise UserError(f"learner.algorithm: {name} {why}; known: {', '.join(sorted(known))}")
    raise UserError(
        f"learner.algorithm: RLlib has no {name!r}{nearest(name, known)}; "
        f"known: {', '.join(sorted(known))}"
    )


def _apply(config: AlgorithmConfig, keys: Mapping[str, Any]) -> None:
    methods = _methods(config)
    setters: dict[str, Callable[..., object]] = {
        "training": config.training,
        "rl_module": config.rl_module,
        "env_runners": config.env_runners,
        "environment": config.environment,
    }
    for key, value in keys.items():
        if key not in methods:
            raise UserError(_unknown(config, key, methods))
        require_kind(config, key, value)
        try:
            setters[methods[key]](**{key: value})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"learner.config.{key}: {one_line(error)}; got {value!r}") from None


def _unknown(config: AlgorithmConfig, key: str, methods: Mapping[str, str]) -> str:
    if key in config:
        return f"learner.config.{key}: cannot be set in an experiment file; " + _KNOWN_AS
    return f"learner.config.{key}: unknown key{nearest(key, methods)}; " + _KNOWN_AS


_KNOWN_AS = "known: the arguments of RLlib's training(), model_config of rl_module(), " + ", ".join(
    k for names in _TAKEN.values() for k in names or () if k != "model_config"
)


def _methods(config: AlgorithmConfig) -> dict[str, str]:
    """Return the method that takes each key that a file may give."""
    found: dict[str, str] = {}
    for method, taken in _TAKEN.items():
        for name in _arguments(type(config), method):
            if name in (taken or (name,)) and name not in _NOT_PLAIN:
                found[name] = method
    if _name_of(config) in ON_POLICY:
        del found["train_batch_size_per_learner"]  # iteration_steps sets it
    return found


def _arguments(config_class: type[AlgorithmConfig], method: str) -> list[str]:
    """Return the named arguments of a method and of its versions in base classes."""
    versions = [vars(c)[method] for c in config_class.__mro__ if method in vars(c)]
    return [
        name
        for version in versions
        for name, p in inspect.signature(version).parameters.items()
        if p.kind is p.KEYWORD_ONLY
    ]
