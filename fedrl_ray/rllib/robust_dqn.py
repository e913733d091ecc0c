"""FedRDQN's target in RLlib's DQN: v(s') is the value of s' from which DQN itself bootstraps.

With `double_q`, v(s') = Q(s', argmax_a Q(s', a; theta); theta'), else max_a Q(s', a; theta').
Dueling networks and the Huber loss stay, as RLlib's defaults. `double_q=False, dueling=False,
td_error_loss_fn="mse"` with a uniform replay gives the update of FedRDQN.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn_learner import QF_NEXT_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module import DefaultDQNTorchRLModule
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.core.columns import Columns
from torch import Tensor

from .robust_degree import DEGREE, DEGREE_PREDS, DegreeNetwork, robust_terms


class RobustDQNModule(DefaultDQNTorchRLModule):
    """RLlib's DQN module with a degree network, which only learners have."""

    def setup(self) -> None:
        """Build RLlib's networks and, in a learner, the degree network."""
        super().setup()  # type: ignore[no-untyped-call]
        if not self.inference_only:
            catalog: Any = self.catalog
            self.degree = DegreeNetwork(catalog, catalog.af_head_config)

    def get_non_inference_attributes(self) -> list[str]:
        """Return the attributes that acting does not need, including the degree network."""
        return [*super().get_non_inference_attributes(), DEGREE]

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        outputs = super()._forward_train(batch, **kwargs)
        return {**outputs, DEGREE_PREDS: self.degree(batch[Columns.OBS])}


class RobustDQNLearner(DQNTorchLearner):
    """RLlib's DQN loss with the robust target, plus the loss of the degree network."""

    def configure_optimizers_for_module(
        self, module_id: str, config: AlgorithmConfig | None = None
    ) -> None:
        """Register an optimizer per network, so that each gradient is clipped by its own norm."""
        assert config is not None
        module: Any = self.module[module_id]
        degree = self.get_parameters(module.degree)
        others = {id(p) for p in degree}
        networks = {
            "q": [p for p in self.get_parameters(module) if id(p) not in others],
            DEGREE: degree,
        }
        for name, params in networks.items():
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=torch.optim.Adam(params),
                params=params,
                lr_or_lr_schedule=config.lr,
            )

    def compute_loss_for_module(
        self,
        *,
        module_id: str,
        config: Any,  # DQNConfig
        batch: dict[str, Any],
        fwd_out: dict[str, Any],
    ) -> Tensor:
        """Return RLlib's loss with the target y, plus the loss of D; they share no parameter."""
        terms = robust_terms(
            batch,
            bootstrap_B=bootstrap_value(fwd_out, double_q=config.double_q),
            v_worst_B=fwd_out[DEGREE_PREDS],
            config=config,
        )
        self.metrics.log_dict(terms.metrics(), key=module_id, window=1)
        q_loss: Any = super().compute_loss_for_module(
            module_id=module_id, config=config, batch=terms.batch, fwd_out=fwd_out
        )
        return cast(Tensor, q_loss + terms.degree_loss)


def bootstrap_value(fwd_out: dict[str, Any], *, double_q: bool) -> Tensor:
    """Return the target network's value of s' at a greedy action: [B].

    The online network chooses the action with `double_q`, else the target network. Masked actions
    have value -inf. If all actions are masked, v(s') = 0, as in RLlib.
    """
    q_target_BA: Tensor = fwd_out[QF_TARGET_NEXT_PREDS]
    chooser_BA = fwd_out[QF_NEXT_PREDS] if double_q else q_target_BA
    best_B1 = chooser_BA.argmax(-1, keepdim=True)
    return q_target_BA.gather(-1, best_B1).nan_to_num(neginf=0.0).squeeze(-1)
