"""The greedy policy of an RLModule as a plain torch module, to be exported."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn_learner import QF_PREDS
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchDiagGaussian,
    TorchSquashedGaussian,
)
from ray.rllib.core.rl_module.rl_module import RLModule
from torch import Tensor, nn

from algorithms.types import Spec

from ..common.errors import UserError

_WITH_MEAN = (TorchDiagGaussian, TorchSquashedGaussian)
"""Made from a mean and a spread per action; RLlib's greedy action is the mean, not squashed."""


class ExportedDiscrete(nn.Module):
    """argmax of logits or of Q values: [M, S] -> [M] int64."""

    def __init__(self, rl_module: RLModule) -> None:
        super().__init__()
        self.rl_module: Any = rl_module

    def scores(self, obs_MS: Tensor) -> Tensor:
        """[M, A]."""
        if hasattr(self.rl_module, "compute_q_values"):
            scores: Tensor = self.rl_module.compute_q_values({Columns.OBS: obs_MS})[QF_PREDS]
            return scores
        return _inputs(self.rl_module, obs_MS)

    def forward(self, obs_MS: Tensor) -> Tensor:
        return self.scores(obs_MS).argmax(-1)


class ExportedContinuous(nn.Module):
    """The mean action, from what the algorithm learns in to the bounds: [M, S] -> [M, A]."""

    def __init__(self, rl_module: RLModule, spec: Spec, *, unsquash: bool, clip: bool) -> None:
        super().__init__()
        self.rl_module, self.unsquash, self._clip = rl_module, unsquash, clip
        self.low_A: Tensor
        self.high_A: Tensor
        self.register_buffer("low_A", torch.tensor(spec.action_low))
        self.register_buffer("high_A", torch.tensor(spec.action_high))

    def forward(self, obs_MS: Tensor) -> Tensor:
        action_MA = _inputs(self.rl_module, obs_MS).chunk(2, dim=-1)[0]
        if self.unsquash:
            action_MA = self.low_A + (action_MA + 1.0) * (self.high_A - self.low_A) / 2.0
        if self.unsquash or self._clip:
            action_MA = torch.minimum(torch.maximum(action_MA, self.low_A), self.high_A)
        return action_MA


def exported(rl_module: RLModule, config: AlgorithmConfig, spec: Spec) -> nn.Module:
    """Raises UserError for a module whose greedy action is not known here."""
    module: Any = rl_module
    if spec.kind == "discrete":
        return ExportedDiscrete(rl_module)
    if not issubclass(module.get_inference_action_dist_cls(), _WITH_MEAN):
        raise UserError(
            f"learner.algorithm {config.algo_class}: export knows Gaussian policies, got "
            f"{module.get_inference_action_dist_cls().__name__}"
        )
    return ExportedContinuous(
        rl_module, spec, unsquash=bool(config.normalize_actions), clip=bool(config.clip_actions)
    )


def _inputs(rl_module: Any, obs_MS: Tensor) -> Tensor:
    inputs: Tensor = rl_module.forward_inference({Columns.OBS: obs_MS})[Columns.ACTION_DIST_INPUTS]
    return inputs
