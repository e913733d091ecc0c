"""FedRDDPG: robust deep deterministic policy gradient (arXiv 2507.14487).

With omega 0 it is DDPGAvg (Jin et al. 2022). One local step has this order: act with the policy
plus noise, step the environment, store the transition; sample one minibatch; compute v(s'), y and
D(s) with the parameters before the step; step theta and psi together; step the policy up the
gradient of Q(s, pi(s; phi); theta) at the new theta; soft-update theta' and phi'. After E local
steps theta, theta', psi, phi and phi' are averaged and broadcast. Replay, optimizer state and noise
stay with the agent.

The paper does not specify the networks. As in DDPG, pi is a tanh scaled to the action bounds, and
the last layers start within 3e-3 of zero. Q takes state and action together at its first layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from ..arrays import Home, Numbers, namespace, to_numpy
from ..critics import RobustCriticLearner
from ..draws import Role, StepDraws, gaussian
from ..noise import ActionNoise
from ..offpolicy import NetworkPlan
from ..offpolicy_config import BatchSize, Capacity, OffPolicyConfig, Width
from ..schedules import LearningRate, Schedule, value_at
from ..types import AgentState, Array, Spec, Transition

if TYPE_CHECKING:
    from ..policies import ContinuousPolicy

_POLICY = 2  # number that keys the policy's initial weights; the critics are 0 and 1
_LAST_BOUND = 3e-3


class FedRDDPG(RobustCriticLearner):
    """Robust deep deterministic policy gradient; omega 0 is DDPGAvg.

    Each agent has Q(s, a; theta), the policy pi(s; phi), their targets theta' and phi', and the
    degree network D(s; psi).
    """

    spec_kinds = ("continuous",)

    class Config(OffPolicyConfig):
        """Keys of `learner: {name: fedrddpg}`."""

        learning_rate: LearningRate = 1e-4
        """Learning rate of Adam for the Q network: a number, or a schedule over local steps."""
        actor_learning_rate: LearningRate = 1e-4
        """Learning rate of Adam for the policy: a number, or a schedule over local steps."""
        batch_size: BatchSize = 64
        """Transitions per minibatch."""
        replay_capacity: Capacity = 100_000
        """Transitions that the replay buffer of each agent holds."""
        learning_starts: Annotated[int, Field(ge=0)] = 1000
        """Local steps before the first update."""
        hidden_sizes: Annotated[tuple[Width, ...], Field(min_length=1)] = (400, 300)
        """Widths of the hidden layers of every network."""
        noise_theta: Annotated[float, Field(gt=0, le=1)] = 0.15
        """Pull of the Ornstein-Uhlenbeck noise towards 0, per step; 1 gives independent Gaussian
        noise."""
        noise_sigma: Annotated[float, Field(ge=0)] = 0.2
        """Standard deviation of the random number added to the noise per step, in units of half the
        action range."""
        noise_scale: Annotated[float, Field(ge=0)] | Schedule = 1.0
        """Factor on the noise: a number, or a schedule over local steps; 0 means no exploration."""

        default_target_rate: ClassVar[float] = 0.001

    config: Config

    def __init__(self, config: Config, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        self.metrics.expect("actor_loss")
        hidden, actions = config.hidden_sizes, len(spec.action_low)
        self.build_critics([spec.obs_size + actions, *hidden, 1], last_bound=_LAST_BOUND)
        policy = NetworkPlan("policy", _POLICY, [spec.obs_size, *hidden, actions], has_target=True)
        self.build_group("actor", [policy], last_bound=_LAST_BOUND)
        bounds = spec.action_low, spec.action_high
        low_A, high_A = (Home(None).asarray(np.array(bound)) for bound in bounds)
        self._noise_unit_A: Array = (high_A - low_A) / 2
        self._centre_A = self.home.asarray((high_A + low_A) / 2)
        self._half_range_A = self.home.asarray(self._noise_unit_A)
        self._noise = ActionNoise(
            self.num_agents, actions, theta=config.noise_theta, sigma=config.noise_sigma
        )
        self._explore_draws = StepDraws(seed, Role.EXPLORATION, agent_ids, width=actions)

    def q(self, network: str, obs_NBS: Numbers, action_NBA: Numbers) -> Numbers:
        """Return Q(s, a) of a critic: [N, B]."""
        return self.networks[network](_joined(obs_NBS, action_NBA))[..., 0]

    def pi(self, network: str, obs_NBS: Numbers) -> Numbers:
        """Return pi(s) of a policy, within the action bounds: [N, B, A]."""
        raw_NBA = self.networks[network](obs_NBS)
        return self._centre_A + self._half_range_A * namespace(raw_NBA).tanh(raw_NBA)

    def explore(self, obs_NS: Numbers) -> Array:
        """Return pi(s) plus noise, clipped to the action bounds: [N, A] float32."""
        noise_NA = self._noise.step(gaussian(self._explore_draws.at(self.clock)))
        scaled_NA = value_at(self.config.noise_scale, self.clock) * noise_NA
        policy_NA = to_numpy(self.pi("policy", obs_NS[:, None])[:, 0])
        action_NA: Array = policy_NA + self._noise_unit_A * scaled_NA
        return action_NA.clip(self.spec.action_low, self.spec.action_high).astype(np.float32)

    def act(self, obs: Array) -> Array:
        """Return greedy actions: [N, M, S] -> [N, M, A] float32."""
        return to_numpy(self.pi("policy", self.home.asarray(obs))).astype(np.float32)

    def greedy_policy(self) -> ContinuousPolicy:
        """Return the first agent's greedy policy, as `act` follows it, for export."""
        from ..policies import ContinuousPolicy

        return ContinuousPolicy.of(self.networks["policy"], self.spec)

    def episodes_ended(self, finished_N: Array) -> None:
        """Restart the noise from 0 for agents whose episode ended."""
        self._noise.restart(finished_N)

    def update(self, batch: Transition) -> None:
        """Step theta and psi together, then phi, then update the targets.

        v(s') = Q(s', pi(s'; phi'); theta').
        """
        next_action_NBA = self.pi("policy_target", batch.next_obs)
        bootstrap_NB = self.q("q_target", batch.next_obs, next_action_NBA)
        q_NB1, v_worst_NB = self.evaluate_critics(_joined(batch.obs, batch.action), batch.obs)
        gradients = self.critic_gradients(
            batch, q_NB=q_NB1[..., 0], v_worst_NB=v_worst_NB, bootstrap_NB=bootstrap_NB
        )
        self.apply_gradients("critics", *gradients)
        self._step_actor(batch.obs)
        self.update_target("q", "q_target")
        self.update_target("policy", "policy_target")

    def _step_actor(self, obs_NBS: Numbers) -> None:
        """Step phi up the mean of Q(s, pi(s; phi); theta) over the minibatch.

        Its gradient is the deterministic policy gradient, dQ/da dpi/dphi (Silver et al. 2014).
        """
        (raw_NBA,) = self.groups["actor"].forward(obs_NBS)
        tanh_NBA = namespace(raw_NBA).tanh(raw_NBA)
        action_NBA = self._centre_A + self._half_range_A * tanh_NBA
        q_NB, gradient_NBI = self.networks["q"].value_and_gradient(_joined(obs_NBS, action_NBA))
        self.metrics.add(actor_loss=-q_NB.mean(-1))
        gradient_NBA = gradient_NBI[..., obs_NBS.shape[-1] :] * (-1.0 / q_NB.shape[-1])
        self.apply_gradients(
            "actor", gradient_NBA * self._half_range_A * (1.0 - tanh_NBA * tanh_NBA)
        )

    def learning_rate_of(self, network: str) -> float | Schedule:
        """Return the learning rate of one network; the policy has its own."""
        if network == "policy":
            return self.config.actor_learning_rate
        return super().learning_rate_of(network)

    def agent_state(self, row: int) -> AgentState:
        """Return everything of one agent, its noise included."""
        return super().agent_state(row) | {"noise": self._noise.x_NA[row].copy()}

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        super().load_agent_state(row, state)
        self._noise.x_NA[row] = state["noise"]


def _joined(obs_NBS: Numbers, action_NBA: Numbers) -> Numbers:
    """Concatenate state and action to the input of Q."""
    return namespace(obs_NBS).concatenate([obs_NBS, action_NBA], -1)
