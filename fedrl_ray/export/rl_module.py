"""Policies as RLModules, which `RLModule.from_checkpoint` loads if fedrl_ray is installed."""

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
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from algorithms import policies
from algorithms.types import Spec

from ..common.errors import UserError
from ..rllib import environment
from ..rllib.exported import ExportedModule
from ..vector_envs.actions import ActionEncoding, encoding_of, short
from .readers.quiet import quiet

_CLASSES: dict[str, type[Any]] = {
    made.__name__: made
    for made in (policies.DiscretePolicy, policies.ContinuousPolicy, policies.TabularPolicy)
}


class GreedyRLModule(TorchRLModule):
    """A greedy policy of `algorithms.policies` as an RLModule.

    model_config: `policy`, the name of the class, and `arguments` of its constructor. The outputs
    are those that RLlib's connectors expect. `actions` are in [-1, 1] if continuous, as with
    `normalize_actions`; `action_dist_inputs` make the same action greedy; `actions_for_env` are
    actions of the environment's own space.
    """

    def setup(self) -> None:
        """Build the policy that model_config names."""
        config: Any = self.model_config
        self.policy = _CLASSES[config["policy"]](**config["arguments"])
        assert self.action_space is not None, "write sets it"
        self.encoding = encoding_of(self.action_space)
        continuous = isinstance(self.policy, policies.ContinuousPolicy)
        self.action_dist_cls = TorchDeterministic if continuous else TorchCategorical

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        obs = batch[Columns.OBS]
        if isinstance(self.policy, policies.ContinuousPolicy):
            inputs = actions = self.policy.normalised(obs)
            for_env = self.encoding.decode_tensor(self.policy(obs))
        else:
            inputs = self.policy.scores(obs)
            actions = for_env = self.encoding.decode_tensor(self.policy(obs))
        return {
            Columns.ACTION_DIST_INPUTS: inputs.to(torch.float32),
            Columns.ACTIONS: actions,
            Columns.ACTIONS_FOR_ENV: for_env,
        }


def write(path: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
    """Write an RLModule's checkpoint, a folder.

    It holds the RLModule that RLlib trained, or a `GreedyRLModule` for our own policies. Raises
    UserError: an RLModule alone would not act as the policy.
    """
    with quiet():
        if isinstance(policy, ExportedModule):
            module = _trained(policy, actions)
        else:
            module = _built(policy, spec, actions)
        module.save_to_path(str(path.absolute()))


def _trained(policy: ExportedModule, actions: ActionEncoding) -> RLModule:
    if not actions.is_plain:
        raise UserError(
            f"--to rllib: RLlib's module does not act in {short(actions.space)}, the environment's "
            "own space; --to torch and --to onnx do"
        )
    if not policy.unsquash:
        raise UserError(
            "--to rllib: an RLModule does not store learner.config.normalize_actions: false; "
            "--to torch and --to onnx do"
        )
    return policy.rl_module


def _built(policy: nn.Module, spec: Spec, actions: ActionEncoding) -> GreedyRLModule:
    if not isinstance(policy, policies.GreedyPolicy) or type(policy).__name__ not in _CLASSES:
        raise UserError(
            f"--to rllib: the policy must be one of {', '.join(_CLASSES)}, or RLlib's own; "
            f"got {type(policy).__name__}"
        )
    module = GreedyRLModule(
        observation_space=observations_of(spec),
        action_space=actions.space,
        inference_only=True,
        model_config={"policy": type(policy).__name__, "arguments": policy.arguments},
    )
    module.policy.load_state_dict(policy.state_dict())
    return module


def observations_of(spec: Spec) -> spaces.Space[Any]:
    """Return the space of observations as Gymnasium's space."""
    if spec.kind == "tabular":
        return spaces.Discrete(spec.num_states)
    return environment.spaces_of(spec)[0]
