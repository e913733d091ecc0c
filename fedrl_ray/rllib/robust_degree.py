"""The robust target in an RLlib learner: the degree network, the target y and the loss of D.

RLlib's own loss does not change: squared or Huber error, importance weights, priorities, metrics.
It computes r + gamma (1 - terminated) v(s'). We pass y as the reward and mark every transition as
terminated, so its target is exactly y.

Shapes: B transitions of a minibatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.core.models.catalog import Catalog
from ray.rllib.core.models.configs import MLPHeadConfig
from torch import Tensor

from algorithms.robust import expectile_loss, next_value, robust_target

DEGREE = "degree"
"""Name of the degree network in a module, and of its optimizer."""
DEGREE_PREDS = "degree_preds"
"""Key of D(s; psi), [B], in the result of `forward_train`."""
DEGREE_LOSS_KEY, DEGREE_GAP_KEY = "degree_loss", "degree_gap"


class DegreeNetwork(torch.nn.Module):
    """D(s; psi): an encoder like the module's, and a head like Q's with one output."""

    def __init__(self, catalog: Catalog, q_head: MLPHeadConfig) -> None:
        super().__init__()
        self.encoder: Any = catalog.build_encoder(framework="torch")
        self.head: Any = replace(q_head, output_layer_dim=1).build(framework="torch")

    def forward(self, obs: Any) -> Tensor:
        """Return D of B states: [B]."""
        values_B1: Tensor = self.head(self.encoder({Columns.OBS: obs})[ENCODER_OUT])
        return values_B1.squeeze(-1)


class RobustTerms(NamedTuple):
    """The batch for RLlib's own loss, the loss of D, and mean D - min v(s') as its gap."""

    batch: dict[str, Any]
    degree_loss: Tensor
    degree_gap: Tensor

    def metrics(self) -> dict[str, Tensor]:
        """Return loss and gap of D by the names that our own learners use."""
        return {DEGREE_LOSS_KEY: self.degree_loss.detach(), DEGREE_GAP_KEY: self.degree_gap}


def robust_terms(
    batch: Mapping[str, Any], *, bootstrap_B: Tensor, v_worst_B: Tensor, config: AlgorithmConfig
) -> RobustTerms:
    """Return the robust target and the loss of D (expectile regression), from the same v(s').

    bootstrap_B: v(s') before it becomes 0 at terminal states. v_worst_B: D(s; psi) with its graph.
    RLlib's importance weights apply to both losses, because D sees the same prioritised samples.
    """
    omega, expectile = levels(config)
    v_next_B = next_value(bootstrap_B.detach(), batch[Columns.TERMINATEDS].float())
    target_B = robust_target(
        batch[Columns.REWARDS],
        v_next_B,
        v_worst_B.detach(),
        discount=config.gamma,
        omega_N1=v_next_B.new_tensor(omega),
    )
    loss_B = batch["weights"] * expectile_loss(v_worst_B, v_next_B, expectile=expectile)
    return RobustTerms(
        batch={
            **batch,
            Columns.REWARDS: target_B,
            Columns.TERMINATEDS: torch.ones_like(batch[Columns.TERMINATEDS]),
        },
        degree_loss=loss_B.mean(),
        degree_gap=v_worst_B.detach().mean() - v_next_B.min(),
    )


def levels(config: AlgorithmConfig) -> tuple[float, float]:
    """Return omega and expectile of a config from `robust`."""
    settings = config.learner_config_dict
    return settings["omega"], settings["expectile"]
