"""The robust target in RLlib's SAC: v(s') is the soft value, min Q(s', a'; theta') - alpha log pi.

a' is the action that RLlib draws for its own target. With discrete actions, v(s') is the mean over
actions. D(s; psi) is then a soft minimum of soft values. Actor and temperature do not change.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.sac.sac import SACConfig
from ray.rllib.algorithms.sac.sac_learner import (
    ACTION_LOG_PROBS_NEXT,
    ACTION_PROBS_NEXT,
    QF_TARGET_NEXT,
)
from ray.rllib.algorithms.sac.torch.default_sac_torch_rl_module import DefaultSACTorchRLModule
from ray.rllib.algorithms.sac.torch.sac_torch_learner import SACTorchLearner
from ray.rllib.core.columns import Columns
from torch import Tensor

from .robust_degree import DEGREE, DEGREE_LOSS_KEY, DEGREE_PREDS, DegreeNetwork, robust_terms

LOGP_NEXT = "logp_next_resampled"
"""Key of log pi(a'|s') in the result of `forward_train`; RLlib has no constant for it."""


class RobustSACModule(DefaultSACTorchRLModule):
    """RLlib's SAC module with a degree network, which only learners have."""

    def setup(self) -> None:
        """Build RLlib's networks and, in a learner, the degree network."""
        super().setup()  # type: ignore[no-untyped-call]
        if not self.inference_only:
            catalog: Any = self.catalog
            self.degree = DegreeNetwork(catalog, catalog.qf_head_config)

    def get_non_inference_attributes(self) -> list[str]:
        """Return the attributes that acting does not need, including the degree network."""
        return [*super().get_non_inference_attributes(), DEGREE]

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        outputs = super()._forward_train(batch, **kwargs)
        return {**outputs, DEGREE_PREDS: self.degree(batch[Columns.OBS])}


class RobustSACLearner(SACTorchLearner):
    """RLlib's SAC losses with the robust target for both critics, plus the loss of D."""

    def configure_optimizers_for_module(
        self, module_id: str, config: AlgorithmConfig | None = None
    ) -> None:
        """Add an optimizer for the degree network, with the critics' learning rate."""
        assert isinstance(config, SACConfig)
        super().configure_optimizers_for_module(module_id=module_id, config=config)
        module: Any = self.module[module_id]
        params = self.get_parameters(module.degree)
        self.register_optimizer(
            module_id=module_id,
            optimizer_name=DEGREE,
            optimizer=torch.optim.Adam(params, eps=1e-7),  # as RLlib's own
            params=params,
            lr_or_lr_schedule=config.critic_lr,
        )

    def compute_loss_for_module(
        self,
        *,
        module_id: str,
        config: Any,  # SACConfig
        batch: dict[str, Any],
        fwd_out: dict[str, Any],
    ) -> Tensor:
        """Return RLlib's losses with the target y, plus the loss of D.

        RLlib differentiates one loss per optimizer and finds it by the optimizer's name.
        """
        log_alpha: Any = self.curr_log_alpha[module_id]
        terms = robust_terms(
            batch,
            bootstrap_B=soft_value(fwd_out, alpha=log_alpha.detach().exp()),
            v_worst_B=fwd_out[DEGREE_PREDS],
            config=config,
        )
        self.metrics.log_dict(terms.metrics(), key=module_id, window=1)
        self._temp_losses[(module_id, DEGREE_LOSS_KEY)] = terms.degree_loss
        own_loss: Any = super().compute_loss_for_module(
            module_id=module_id, config=config, batch=terms.batch, fwd_out=fwd_out
        )
        return cast(Tensor, own_loss + terms.degree_loss)


def soft_value(fwd_out: dict[str, Any], *, alpha: Tensor) -> Tensor:
    """Return min Q(s', a'; theta') - alpha log pi(a'|s') at the drawn action: [B].

    For discrete actions it is the mean over actions. RLlib has already taken the minimum over its
    twin critics.
    """
    q_target: Tensor = fwd_out[QF_TARGET_NEXT]
    if LOGP_NEXT in fwd_out:
        logp_B: Tensor = fwd_out[LOGP_NEXT]
        return q_target - alpha * logp_B
    probs_BA: Tensor = fwd_out[ACTION_PROBS_NEXT]
    soft_BA: Tensor = q_target - alpha * fwd_out[ACTION_LOG_PROBS_NEXT]
    return (probs_BA * soft_BA).sum(-1)
