"""The greedy policy of an RLModule as a plain torch module for export."""

from __future__ import annotations

from typing import Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn_learner import QF_PREDS
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchDiagGaussian,
    TorchSquashedGaussian,
)
from ray.rllib.core.rl_module.apis import QNetAPI
from ray.rllib.core.rl_module.rl_module import RLModule
from torch import Tensor, nn

from algorithms.types import Spec

from ..common.errors import UserError

_WITH_MEAN = (TorchDiagGaussian, TorchSquashedGaussian)
"""Distributions with a mean per action, which is RLlib's greedy action and is not squashed."""


class ExportedModule(nn.Module):
    """The greedy policy of an RLModule.

    unsquash: true if an environment gets the actions after RLlib's default scaling to the bounds.
    """

    unsquash = True
    rl_module: RLModule

    def __init__(self, rl_module: RLModule) -> None:
        super().__init__()
        self.rl_module = rl_module


class ExportedDiscrete(ExportedModule):
    """argmax of logits or of Q values: [M, S] -> [M] int64."""

    def scores(self, obs_MS: Tensor) -> Tensor:
        """Return logits or Q values: [M, A]."""
        if isinstance(self.rl_module, QNetAPI):
            q_values = self.rl_module.compute_q_values({Columns.OBS: obs_MS})
            return cast(Tensor, q_values[QF_PREDS])
        return _inputs(self.rl_module, obs_MS)

    def forward(self, obs_MS: Tensor) -> Tensor:
        """Return the actions with the highest scores: [M] int64."""
        return self.scores(obs_MS).argmax(-1)


class ExportedContinuous(ExportedModule):
    """The mean action, scaled or clipped to the bounds as in training: [M, S] -> [M, A]."""

    def __init__(self, rl_module: RLModule, spec: Spec, *, unsquash: bool, clip: bool) -> None:
        super().__init__(rl_module)
        self.unsquash, self._clip = unsquash, clip
        self.low_A: Tensor
        self.high_A: Tensor
        self.register_buffer("low_A", torch.tensor(spec.action_low))
        self.register_buffer("high_A", torch.tensor(spec.action_high))

    def forward(self, obs_MS: Tensor) -> Tensor:
        """Return the greedy actions: [M, A]."""
        action_MA = _inputs(self.rl_module, obs_MS).chunk(2, dim=-1)[0]
        if self.unsquash:
            action_MA = self.low_A + (action_MA + 1.0) * (self.high_A - self.low_A) / 2.0
        if self.unsquash or self._clip:
            action_MA = torch.minimum(torch.maximum(action_MA, self.low_A), self.high_A)
        return action_MA


def exported(rl_module: RLModule, config: AlgorithmConfig, spec: Spec) -> ExportedModule:
    """Return the greedy policy of a module. Raises UserError: its distribution is not supported."""
    module: Any = rl_module
    if spec.kind == "discrete":
        return ExportedDiscrete(rl_module)
    if not issubclass(module.get_inference_action_dist_cls(), _WITH_MEAN):
        raise UserError(
            f"learner.algorithm: must have a Gaussian policy for export; {config.algo_class} has "
            f"{module.get_inference_action_dist_cls().__name__}"
        )
    return ExportedContinuous(
        rl_module, spec, unsquash=bool(config.normalize_actions), clip=bool(config.clip_actions)
    )


def _inputs(rl_module: Any, obs_MS: Tensor) -> Tensor:
    inputs: Tensor = rl_module.forward_inference({Columns.OBS: obs_MS})[Columns.ACTION_DIST_INPUTS]
    return inputs
