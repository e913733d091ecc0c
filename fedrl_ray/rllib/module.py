"""The RLModule of a federation: its weights are what is averaged, its greedy actions the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.utils.spaces import space_utils

from algorithms.types import Array, Params, Spec

from ..config.schema import Experiment
from .algorithm import algorithm_config
from .environment import spaces_of
from .generators import keyed
from .settings import RLlibSettings

_NOBODY = 2**31 - 1
"""The agent that initial weights are keyed by."""


def build_module(experiment: Experiment, spec: Spec) -> RLModule:
    """The module of an experiment with `learner: {name: rllib}`, with its initial weights; those
    of a run go in by `load_weights`."""
    return _build(experiment.learner.settings, spec, experiment.seed)


def _build(settings: RLlibSettings, spec: Spec, seed: int) -> RLModule:
    config = algorithm_config(settings, spec)
    spaces: Any = {DEFAULT_MODULE_ID: spaces_of(spec)}
    module_spec = config.get_rl_module_spec(spaces=spaces, inference_only=False)
    with keyed(seed, _NOBODY, 0):
        module = module_spec.build()
        if hasattr(module, "make_target_networks"):
            module.make_target_networks()
    return module


def weights(module: RLModule) -> Params:
    """What is averaged: every floating-point entry of the module's state, float32."""
    state = module.get_state()
    return {n: np.array(x) for n, x in state.items() if np.asarray(x).dtype.kind == "f"}


def load_weights(module: RLModule, shared: Mapping[str, Array]) -> None:
    """Take the weights; entries that are not averaged stay."""
    module.set_state({name: np.array(x) for name, x in shared.items()})


class GreedyPolicy:
    """A module that acts greedily, on any number of observations at once."""

    def __init__(self, settings: RLlibSettings, spec: Spec, *, seed: int) -> None:
        self.module = _build(settings, spec, seed)
        self._action_space = spaces_of(spec)[1] if spec.kind == "continuous" else None
        self._to_env = _bounded(algorithm_config(settings, spec))

    def weights(self) -> Params:
        """No agent axis."""
        return weights(self.module)

    def load_weights(self, shared: Mapping[str, Array]) -> None:
        """No agent axis."""
        load_weights(self.module, shared)

    def act(self, obs_MS: Array) -> Array:
        """[M, S] float32 -> [M] int64 or [M, A] float32, within the bounds."""
        with torch.no_grad():
            out = self.module.forward_inference({Columns.OBS: torch.from_numpy(np.array(obs_MS))})
            actions = greedy_actions(self.module, out).numpy()
        if self._action_space is None:
            return actions.astype(np.int64)
        return np.asarray(self._to_env(actions, self._action_space), dtype=np.float32)


def greedy_actions(module: RLModule, out: Mapping[str, Any]) -> torch.Tensor:
    """What `forward_inference` gave, as actions: as RLlib's own GetActions, not exploring."""
    if Columns.ACTIONS in out:
        return torch.as_tensor(out[Columns.ACTIONS])
    distributions: Any = module
    distribution = distributions.get_inference_action_dist_cls().from_logits(
        out[Columns.ACTION_DIST_INPUTS]
    )
    return torch.as_tensor(distribution.to_deterministic().sample())


def _bounded(config: AlgorithmConfig) -> Callable[[Array, Any], Array]:
    """From what the module gives to an action within the bounds, as RLlib's connector does it."""
    utils: Any = space_utils
    if config.normalize_actions:
        return lambda actions, space: np.asarray(utils.unsquash_action(actions, space))
    if config.clip_actions:
        return lambda actions, space: np.asarray(utils.clip_action(actions, space))
    return lambda actions, space: actions
