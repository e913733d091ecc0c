"""A policy as RLlib's RLModule, which `RLModule.from_checkpoint` loads wherever fedrl_ray is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchCategorical,
    TorchDeterministic,
)
from ray.rllib.core.rl_module.torch import TorchRLModule

from algorithms import policies
from algorithms.types import Spec

from ..common.errors import UserError
from ..rllib import environment
from .readers.quiet import quiet


class GreedyRLModule(TorchRLModule):
    """A greedy policy. model_config: `policy`, a class of `algorithms.policies`, and `arguments`.

    It gives what RLlib's connectors expect: `actions`, continuous ones in [-1, 1] as under
    `normalize_actions`, `action_dist_inputs` whose greedy action is that, and `actions_for_env`,
    scaled to the bounds.
    """

    def setup(self) -> None:
        config: Any = self.model_config
        self.policy = getattr(policies, config["policy"])(**config["arguments"])
        discrete = isinstance(self.action_space, spaces.Discrete)
        self.action_dist_cls = TorchCategorical if discrete else TorchDeterministic

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        obs = batch[Columns.OBS]
        if isinstance(self.policy, policies.ContinuousPolicy):
            actions, for_env = self.policy.normalised(obs), self.policy(obs)
            inputs = actions
        else:
            inputs = self.policy.scores(obs)
            actions = for_env = self.policy(obs)
        return {
            Columns.ACTION_DIST_INPUTS: inputs.to(torch.float32),
            Columns.ACTIONS: actions,
            Columns.ACTIONS_FOR_ENV: for_env,
        }


def write(path: Path, policy: Any, spec: Spec) -> None:
    """An RLModule's checkpoint, a folder: of the policy's own RLModule, where it has one, else of a
    `GreedyRLModule`. Raises UserError where an RLModule alone would not act as the policy."""
    with quiet():
        module = policy.rl_module if is_native(policy) else _built(policy, spec)
        module.save_to_path(str(path.absolute()))


def is_native(policy: Any) -> bool:
    """Whether RLlib made the policy. Raises UserError where it scales actions in another way than
    RLlib does by default, for which the checkpoint has no place."""
    if not hasattr(policy, "rl_module"):
        return False
    if not getattr(policy, "unsquash", True):
        raise UserError(
            "--to rllib: an RLModule does not carry learner.config.normalize_actions: false; "
            "torch and onnx do"
        )
    return True


def _built(policy: policies.GreedyPolicy, spec: Spec) -> GreedyRLModule:
    observation_space, action_space = spaces_of(spec)
    module = GreedyRLModule(
        observation_space=observation_space,
        action_space=action_space,
        inference_only=True,
        model_config={"policy": type(policy).__name__, "arguments": policy.arguments},
    )
    module.policy.load_state_dict(policy.state_dict())
    return module


def spaces_of(spec: Spec) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """Of observations and of actions, as Gymnasium says it."""
    if spec.kind == "tabular":
        return spaces.Discrete(spec.num_states), spaces.Discrete(spec.num_actions)
    return environment.spaces_of(spec)
