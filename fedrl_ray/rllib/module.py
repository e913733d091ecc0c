"""The RLModule of a federation, whose weights are averaged and whose greedy actions are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import TargetNetworkAPI
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.utils.spaces import space_utils

from algorithms.types import Array, Params, Spec

from ..config.schema import Experiment
from .algorithm import algorithm_config
from .environment import spaces_of
from .generators import keyed
from .settings import RLlibSettings, settings_of

_NOBODY = 2**31 - 1
"""Agent id that keys the initial weights."""


def build_module(experiment: Experiment, spec: Spec) -> RLModule:
    """Return the module of an experiment with `learner: {name: rllib}`, with initial weights.

    `load_weights` replaces them by the weights of a run.
    """
    return _build(settings_of(experiment), spec, experiment.seed)


def _build(settings: RLlibSettings, spec: Spec, seed: int) -> RLModule:
    config = algorithm_config(settings, spec)
    spaces: Any = {DEFAULT_MODULE_ID: spaces_of(spec)}
    module_spec = config.get_rl_module_spec(spaces=spaces, inference_only=False)
    with keyed(seed, _NOBODY, 0):
        module = module_spec.build()
        if isinstance(module, TargetNetworkAPI):
            module.make_target_networks()
    return module


def weights(module: RLModule) -> Params:
    """Return the averaged weights: every floating-point entry of the module's state."""
    state = module.get_state()
    return {n: np.array(x) for n, x in state.items() if np.asarray(x).dtype.kind == "f"}


def load_weights(module: RLModule, shared: Mapping[str, Array]) -> None:
    """Replace the averaged weights; other entries of the state stay."""
    module.set_state({name: np.array(x) for name, x in shared.items()})


class ModulePolicy:
    """The greedy policy of an RLModule, for any number of observations at once."""

    def __init__(self, settings: RLlibSettings, spec: Spec, *, seed: int) -> None:
        self.module = _build(settings, spec, seed)
        self._action_space = spaces_of(spec)[1] if spec.kind == "continuous" else None
        self._to_env = _bounded(algorithm_config(settings, spec))

    def weights(self) -> Params:
        """Return the averaged weights, without an agent axis."""
        return weights(self.module)

    def load_weights(self, shared: Mapping[str, Array]) -> None:
        """Replace the averaged weights, given without an agent axis."""
        load_weights(self.module, shared)

    def act(self, obs_MS: Array) -> Array:
        """Return greedy actions inside the bounds: [M, S] -> [M] int64 or [M, A] float32."""
        with torch.no_grad():
            out = self.module.forward_inference({Columns.OBS: torch.from_numpy(np.array(obs_MS))})
            actions = greedy_actions(self.module, out).numpy()
        if self._action_space is None:
            return actions.astype(np.int64)
        return np.asarray(self._to_env(actions, self._action_space), dtype=np.float32)


def greedy_actions(module: RLModule, out: Mapping[str, Any]) -> torch.Tensor:
    """Return the greedy actions in an output of `forward_inference`.

    RLlib's connector GetActions does the same without exploration.
    """
    if Columns.ACTIONS in out:
        return torch.as_tensor(out[Columns.ACTIONS])
    distributions: Any = module
    distribution = distributions.get_inference_action_dist_cls().from_logits(
        out[Columns.ACTION_DIST_INPUTS]
    )
    return torch.as_tensor(distribution.to_deterministic().sample())


def _bounded(config: AlgorithmConfig) -> Callable[[Array, Any], Array]:
    """Return a function that moves actions into the bounds, as RLlib's connector does."""
    utils: Any = space_utils
    if config.normalize_actions:
        return lambda actions, space: np.asarray(utils.unsquash_action(actions, space))
    if config.clip_actions:
        return lambda actions, space: np.asarray(utils.clip_action(actions, space))
    return lambda actions, space: actions
