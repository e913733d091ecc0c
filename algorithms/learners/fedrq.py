"""FedRQ: tabular robust Q-learning (arXiv 2507.14487); with omega 0 it is QAvg (Jin et al. 2022).

Agent k moves Q_k(s,a) by lambda [ r + gamma (1 - omega) max_b Q_k(s',b)
+ gamma omega min_{x in N_s^k} max_b Q_k(x,b) - Q_k(s,a) ]; after E local steps the Q_k are averaged
and broadcast. Mode `sampled` learns from one transition per step and collects N_s^k on the way;
mode `exact` updates every (s,a) at once with the expectation under P_k.

The step size matters. At E > 1 a constant step size leaves a bias (client drift), whereas
c / (c + n), with n the agent's own visits of (s,a), converges to Q*. A slower decay, or a clock
that all (s,a) share, weighs each agent by its number of visits: see `tabular.solver.visit_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ..arrays import Home
from ..draws import Role, StepDraws
from ..learner import Learner, LearnerConfig
from ..metrics import MeanPerAgent
from ..omega import Omega, omega_of, require_one_per_agent
from ..schedules import Probability, Schedule, value_at
from ..step_sizes import Constant, Decaying, Power
from ..tabular.federated_mdp import (
    KnownKernels,
    exact_backup,
    robust_backup,
    state_values,
    worst_value,
)
from ..types import AgentState, Array, Params, Spec, Transition
from ..vector_env import VectorEnv

if TYPE_CHECKING:
    from ..policies import TabularPolicy


class FedRQ(Learner):
    """Tabular robust Q-learning, exact or sampled; omega 0 is QAvg.

    Each of N local agents has a table Q: [N, S, A] float64. `neighbours_NSX` holds the visited part
    of N_s^k, empty at the start; its additional last column, X = S + 1, is the terminal neighbour
    of value 0. `visits_NSA` counts updates.
    """

    spec_kinds = ("tabular",)

    class Config(LearnerConfig):
        """Keys of `learner: {name: fedrq}`."""

        omega: Omega = 0.3
        """Robustness level in [0, 1]: one number, or one per agent; 0 is QAvg."""
        discount: Annotated[float, Field(ge=0, lt=1)] = 0.9
        """Discount factor gamma."""
        mode: Literal["sampled", "exact"] = "sampled"
        """sampled learns from one transition per local step. In exact, a local step is a sweep over
        all (s,a) with the environment's own kernels, and the environment is not stepped."""
        step_size: Annotated[Constant | Decaying | Power, Field(discriminator="kind")] = Decaying()
        """Step size lambda: {kind: constant, value}, {kind: decaying, c, count} with
        lambda = c / (c + n), c >= 1 / (1 - discount), or {kind: power, exponent, count} with
        lambda = (1 + n)^-exponent. n counts the agent's visits of (s,a) (count: visits) or its
        local steps (count: steps)."""
        epsilon: Probability | None = None
        """Probability of a random action: a number, or a schedule over local steps. null: from 1
        to 0.2 over 5000 steps. It must stay above 0 for convergence. Mode exact takes none."""
        initial_value: float = 0.0
        """Initial Q of every (s,a)."""

        @model_validator(mode="before")
        @classmethod
        def _default_epsilon(cls, data: Any) -> Any:
            if not isinstance(data, dict) or data.get("mode", "sampled") != "sampled":
                return data
            given = data.get("epsilon")
            default = Schedule(start=1.0, end=0.2, steps=5000)
            return data | {"epsilon": default if given is None else given}

        @model_validator(mode="after")
        def _check(self) -> Self:
            if self.mode == "exact" and self.epsilon is not None:
                raise ValueError("epsilon must be null in mode exact, which does not explore")
            if isinstance(self.step_size, Decaying):
                self.step_size.check(self.discount)
            return self

        def require_agents(self, num_agents: int) -> None:
            """Raise ValueError if `omega` is a list that does not hold one value per agent."""
            require_one_per_agent(self.omega, num_agents)

    def __init__(self, config: Config, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None:
        self.config, self.spec, self.agent_ids = config, spec, tuple(agent_ids)
        n, states, actions = len(self.agent_ids), spec.num_states, spec.num_actions
        self.clock = 0
        self.omega_N = np.array([omega_of(config.omega, agent) for agent in self.agent_ids])
        self.q_NSA = np.full((n, states, actions), config.initial_value)
        self.visits_NSA = np.zeros((n, states, actions), dtype=np.int64)
        self.neighbours_NSX = np.zeros((n, states, states + 1), dtype=bool)
        self.metrics = MeanPerAgent(n, Home(None))
        self._rows = np.arange(n)
        self._explore_draws = StepDraws(seed, Role.EXPLORATION, agent_ids, width=2)
        self._kernels: tuple[VectorEnv, KnownKernels] | None = None

    def step(self, env: VectorEnv) -> None:
        """Take one local step with all N agents: t -> t + 1 of the paper's algorithm.

        Raises TypeError if the mode is exact and the environment does not expose its kernels.
        """
        if self.config.mode == "exact":
            self.sweep(self._kernels_of(env))
        else:
            self.update(env.step(self.explore(env.obs)))
        self.clock += 1

    def explore(self, obs_N: Array) -> Array:
        """Return epsilon-greedy actions: [N] int64 -> [N] int64."""
        uniform_N2 = self._explore_draws.at(self.clock)
        greedy_N = self.q_NSA[self._rows, obs_N].argmax(-1)
        random_N = (uniform_N2[:, 1] * self.spec.num_actions).astype(np.int64)
        explores_N = uniform_N2[:, 0] < value_at(self.config.epsilon or 0.0, self.clock)
        return np.where(explores_N, random_N, greedy_N)

    def update(self, batch: Transition) -> None:
        """Update one entry per agent from a transition [N]."""
        rows, s, a = self._rows, batch.obs, batch.action
        x = np.where(batch.terminated > 0, self.spec.num_states, batch.next_obs)
        self.neighbours_NSX[rows, s, x] = True
        v_NX = self._values()
        v_worst_N = worst_value(v_NX, self.neighbours_NSX[rows, s][:, None])[:, 0]
        target_N = robust_backup(
            batch.reward.astype(np.float64),
            v_NX[rows, x],
            v_worst_N,
            discount=self.config.discount,
            omega=self.omega_N,
        )
        td_N = target_N - self.q_NSA[rows, s, a]
        step_N = self._step_size(self.visits_NSA[rows, s, a])
        self.q_NSA[rows, s, a] += step_N * td_N
        self.visits_NSA[rows, s, a] += 1
        self.metrics.add(td_loss=td_N**2, step_size=step_N)

    def sweep(self, kernels: KnownKernels) -> None:
        """Update every (s,a) at once; the target of a terminal state is 0."""
        target_NSA = exact_backup(
            kernels.kernel_NSAX,
            kernels.reward_NSA,
            kernels.neighbours_NSX,
            state_values(self.q_NSA, kernels.terminal_S),
            discount=self.config.discount,
            omega_N=self.omega_N,
        )
        td_NSA = np.where(kernels.terminal_S[:, None], 0.0, target_NSA) - self.q_NSA
        step_NSA = self._step_size(self.visits_NSA)
        self.q_NSA += step_NSA * td_NSA
        self.visits_NSA += 1
        td_loss_N = np.square(td_NSA).mean((1, 2))
        self.metrics.add(td_loss=td_loss_N, step_size=step_NSA.mean((1, 2)))

    def act(self, obs: Array) -> Array:
        """Return greedy actions: [N, M] int64 -> [N, M] int64."""
        return np.asarray(self.q_NSA[self._rows[:, None], obs].argmax(-1))

    def greedy_policy(self) -> TabularPolicy:
        """Return the first agent's greedy policy, as `act` follows it, for export."""
        from ..policies import TabularPolicy

        return TabularPolicy.of(self.q_NSA[0])

    def drain_metrics(self) -> dict[str, Array]:
        """Return means per agent since the last call, each [N]."""
        return self.metrics.drain()

    def shared(self) -> Params:
        """Return the tables Q, which are averaged: [N, S, A]."""
        return {"q": self.q_NSA.copy()}

    def load_shared(self, shared: Params) -> None:
        """Take the averaged table [S, A] into all N agents."""
        self.q_NSA[:] = shared["q"]

    def agent_state(self, row: int) -> AgentState:
        """Return everything of one agent: table, visits and neighbours."""
        tables = {"q": self.q_NSA, "visits": self.visits_NSA, "neighbours": self.neighbours_NSX}
        return {name: table[row].copy() for name, table in tables.items()}

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        self.q_NSA[row], self.visits_NSA[row] = state["q"], state["visits"]
        self.neighbours_NSX[row] = state["neighbours"]

    def _values(self) -> Array:
        """Return max_b Q(x,b) of every state, and 0 for the terminal neighbour: [N, X]."""
        v_NX = np.zeros((len(self._rows), self.spec.num_states + 1))
        self.q_NSA.max(-1, out=v_NX[:, :-1])
        return v_NX

    def _step_size(self, visits: Array) -> Array:
        return self.config.step_size.at(visits, self.clock, discount=self.config.discount)

    def _kernels_of(self, env: VectorEnv) -> KnownKernels:
        if self._kernels is None or self._kernels[0] is not env:
            self._kernels = env, KnownKernels.of(env)
        return self._kernels[1]
