"""FedRDQN: robust deep Q-learning (arXiv 2507.14487); with omega 0 it is DQNAvg (Jin et al. 2022).

One local step has this order: act (epsilon-greedy), step the environment, store the transition;
sample one minibatch; compute v(s'), y and D(s) with the parameters before the step; step theta and
psi together; soft-update theta'. After E local steps theta, theta' and psi are averaged and
broadcast. Replay, optimizer state and exploration stay with the agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Numbers, namespace, to_numpy
from ..critics import RobustCriticLearner
from ..draws import Role, StepDraws
from ..offpolicy_config import OffPolicyConfig
from ..schedules import Probability, Schedule, value_at
from ..types import Array, Spec, Transition

if TYPE_CHECKING:
    from ..policies import DiscretePolicy


class FedRDQN(RobustCriticLearner):
    """Robust deep Q-learning; omega 0 is DQNAvg.

    Each agent has Q(.; theta), its target theta', and the degree network D(s; psi).
    """

    spec_kinds = ("discrete",)

    class Config(OffPolicyConfig):
        """Keys of `learner: {name: fedrdqn}`."""

        epsilon: Probability = Schedule(start=1.0, end=0.05, steps=5000)
        """Probability of a random action: a number, or a schedule over local steps."""

    config: Config

    def __init__(self, config: Config, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        self.build_critics([spec.obs_size, *config.hidden_sizes, spec.num_actions])
        self._actions_A = self.home.asarray(np.arange(spec.num_actions))
        self._explore_draws = StepDraws(seed, Role.EXPLORATION, agent_ids, width=2)

    def explore(self, obs_NS: Numbers) -> Array:
        """Return epsilon-greedy actions: [N] int64."""
        uniform_N2 = self._explore_draws.at(self.clock)
        greedy_N = to_numpy(self.networks["q"](obs_NS[:, None]).argmax(-1)[:, 0])
        random_N = (uniform_N2[:, 1] * self.spec.num_actions).astype(np.int64)
        explores_N = uniform_N2[:, 0] < value_at(self.config.epsilon, self.clock)
        return np.where(explores_N, random_N, greedy_N)

    def act(self, obs: Array) -> Array:
        """Return greedy actions: [N, M, S] -> [N, M] int64."""
        return to_numpy(self.networks["q"](self.home.asarray(obs)).argmax(-1))

    def greedy_policy(self) -> DiscretePolicy:
        """Return the first agent's greedy policy, as `act` follows it, for export."""
        from ..policies import DiscretePolicy

        return DiscretePolicy.of(self.networks["q"])

    def update(self, batch: Transition) -> None:
        """Step theta and psi together, then update theta'.

        v(s') = max_a' Q(s', a'; theta').
        """
        xp = namespace(batch.reward)
        bootstrap_NB = xp.amax(self.networks["q_target"](batch.next_obs), -1)
        q_NBA, v_worst_NB = self.evaluate_critics(batch.obs, batch.obs)
        is_taken_NBA = batch.action == self._actions_A
        gradient_NB1, *degree_gradient = self.critic_gradients(
            batch,
            q_NB=xp.where(is_taken_NBA, q_NBA, 0.0).sum(-1),
            v_worst_NB=v_worst_NB,
            bootstrap_NB=bootstrap_NB,
        )
        gradient_NBA = xp.where(is_taken_NBA, gradient_NB1, 0.0)
        self.apply_gradients("critics", gradient_NBA, *degree_gradient)
        self.update_target("q", "q_target")
