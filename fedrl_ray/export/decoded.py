"""A policy that acts in the environment's own action space."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ..vector_envs.actions import ActionEncoding


class DecodedPolicy(nn.Module):
    """A greedy policy whose actions have the numbering, the type and the shape of the environment.

    policy: returns the learner's actions, [M] int64 or [M, A] float32.
    """

    def __init__(self, policy: nn.Module, actions: ActionEncoding) -> None:
        super().__init__()
        self.policy, self._actions = policy, actions

    def forward(self, obs: Tensor) -> Tensor:
        """Return the actions: [M, *shape] of the space."""
        return self._actions.decode_tensor(cast(Tensor, self.policy(obs)))
