"""Off-policy learners whose gradients come from torch's autograd.

A subclass states its networks and its losses; nothing else differs from a learner with written-out
gradients. It is slower, because autograd builds a graph for every update. A fast path with
written-out gradients can come later without any change in the protocol:

    class TwinCritics(AutogradLearner):
        def update(self, batch):
            with torch.no_grad():
                target = ...                                     # [N, B]
            q1, q2 = self.trainable("critics")
            self.minimise("critics", ((q1(x) - target) ** 2 + (q2(x) - target) ** 2).mean(-1))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, cast

from .lazy_torch import torch
from .networks.eager import EagerAdam, EagerGroup
from .offpolicy import OffPolicyLearner
from .offpolicy_config import OffPolicyConfig
from .types import AgentState, Spec
from .vector_env import VectorEnv

if TYPE_CHECKING:
    from torch import Tensor

Network = Callable[["Tensor"], "Tensor"]
"""[N, B, in] -> [N, B, out], differentiable by its parameters and by its input."""


class AutogradConfig(OffPolicyConfig):
    """Keys of a learner that uses autograd: those of every off-policy learner."""

    compiled: Literal[False] = False
    """Always false: torch computes the networks."""


class AutogradLearner(OffPolicyLearner):
    """Adds `trainable` and `minimise`. `networks[name](x)` is differentiable by x alone."""

    config: AutogradConfig

    def __init__(
        self, config: AutogradConfig, spec: Spec, *, agent_ids: Sequence[int], seed: int
    ) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        self._leaves: dict[str, Tensor] = {}  # parameters of the groups that are differentiated

    def step(self, env: VectorEnv) -> None:
        """Take one local step; tensors made in inference mode could not be differentiated."""
        self.local_step(env)

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        assert self.replay  # built here: tensors made in inference mode cannot be written later
        super().load_agent_state(row, state)

    def trainable(self, group: str) -> list[Network]:
        """Return the networks of a group, in their order, differentiable by their parameters.

        The next call of `minimise` for the group steps these parameters.
        """
        eager = self._eager(group)
        leaf = eager.flat.detach().requires_grad_()
        self._leaves[group] = leaf
        return [
            lambda x, network=network: eager.evaluate_with(leaf, network, x)  # type: ignore[misc]
            for network in eager.networks
        ]

    def minimise(self, group: str, loss_N: Tensor) -> None:
        """Step a group's networks down each agent's own loss, [N]; one step of Adam.

        The losses are summed, which keeps agents independent; gradients are clipped per agent and
        network.
        """
        leaf = self._leaves.pop(group)
        (gradient,) = torch.autograd.grad(loss_N.sum(), leaf)
        with torch.no_grad():
            self._eager(group).flat_gradient.copy_(gradient)
            cast(EagerAdam, self.optimizers[group]).step(
                max_norm=self.config.max_grad_norm,
                learning_rates=self.learning_rates(group),
                steps_done=self._steps_done,
            )

    def _eager(self, group: str) -> EagerGroup:
        return cast(EagerGroup, self.groups[group])
