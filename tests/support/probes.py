"""Small environments whose answers are known by hand.

A probe has a few states, seen as one-hot observations, and a `move` that defines what an
action does there. Its randomness is keyed by (seed, agent, steps taken), as everything else's is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from algorithms.draws import Role, philox
from algorithms.types import AgentState, Array, Spec
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.episodes import EpisodicVectorEnv

Move = Callable[[int, float, float, float], tuple[int, float, bool]]
"""(state, action, uniform number, the row's own parameter) -> next state, reward, terminated."""


class ProbeVectorEnv(EpisodicVectorEnv):
    """N copies of one probe, each with its own parameter. Episodes start in state 0."""

    def __init__(
        self, spec: Spec, move: Move, parameters: Sequence[float], agent_ids: Sequence[int]
    ) -> None:
        super().__init__(spec, EpisodeSeeds.of_agents(0, agent_ids))
        self._move, self._parameters, self._agent_ids = move, tuple(parameters), tuple(agent_ids)
        self._state = np.zeros(len(agent_ids), dtype=np.int64)
        self._taken = np.zeros(len(agent_ids), dtype=np.int64)
        self.start()

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        n = len(self._state)
        reward, terminated = np.zeros(n), np.zeros(n, dtype=bool)
        for row, (agent, taken) in enumerate(zip(self._agent_ids, self._taken, strict=True)):
            uniform = philox(0, Role.TRANSITION, agent, int(taken)).random()
            self._state[row], reward[row], terminated[row] = self._move(
                int(self._state[row]), float(np.ravel(action)[row]), uniform, self._parameters[row]
            )
        self._taken += 1
        return self._one_hot(self._state), reward, terminated, np.zeros(n, dtype=bool)

    def reset_row(self, row: int, seed: int) -> Array:
        self._state[row] = 0
        return self._one_hot(self._state[row : row + 1])[0]

    def physics_state(self, row: int) -> AgentState:
        return {"state": np.array(self._state[row]), "taken": np.array(self._taken[row])}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        self._state[row], self._taken[row] = state["state"], state["taken"]

    def _one_hot(self, state_N: Array) -> Array:
        return np.eye(self.spec.obs_size, dtype=np.float32)[state_N]


def discrete(num_states: int, *, max_episode_steps: int = 100) -> Spec:
    """A probe with two actions, 0 and 1."""
    return Spec(obs_size=num_states, num_actions=2, max_episode_steps=max_episode_steps)


def continuous(num_states: int, *, low: float = -1.0, high: float = 1.0) -> Spec:
    """A probe with one action between two bounds."""
    return Spec(obs_size=num_states, action_low=(low,), action_high=(high,), max_episode_steps=100)


def probe_one_state(spec: Spec, ends: Sequence[float]) -> ProbeVectorEnv:
    """Return a probe of one state that pays 1 per step.

    Its value is 1 if the step terminates (parameter 1), and 1 / (1 - gamma) if it goes on for ever
    (parameter 0), even with a time limit.
    """

    def move(state: int, action: float, uniform: float, ends: float) -> tuple[int, float, bool]:
        return 0, 1.0, bool(ends)

    return ProbeVectorEnv(spec, move, ends, range(len(ends)))


def probe_degree_two_neighbours(spec: Spec, worst: Sequence[float]) -> ProbeVectorEnv:
    """Return a probe whose state 0 has two successors; actions do nothing.

    With the probability of the parameter the successor is terminal (value 0), else it is state 1,
    which pays 1 and ends (value 1).
    """

    def move(state: int, action: float, uniform: float, worst: float) -> tuple[int, float, bool]:
        if state == 1:
            return 0, 1.0, True
        return (0, 0.0, True) if uniform < worst else (1, 0.0, False)

    return ProbeVectorEnv(spec, move, worst, range(len(worst)))


FORK_SAFE_REWARD = 0.4


def probe_robust_fork(num_agents: int) -> ProbeVectorEnv:
    """Return a probe with a safe and a risky action in state 0.

    Action 0 pays 0.4 and ends; action 1 leads to state 1, which pays 1 and ends.
    With gamma 0.9, Q(0, 0) = 0.4 + 0.9 omega D(0) and Q(0, 1) = 0.9 (1 - omega) + 0.9 omega D(0):
    the greedy action flips from 1 to 0 at omega = 1 - 0.4 / 0.9 = 0.556.
    """

    def move(state: int, action: float, uniform: float, _: float) -> tuple[int, float, bool]:
        if state == 1:
            return 0, 1.0, True
        return (1, 0.0, False) if action == 1 else (0, FORK_SAFE_REWARD, True)

    return ProbeVectorEnv(discrete(2), move, [0.0] * num_agents, range(num_agents))


def probe_robust_slope(num_agents: int) -> ProbeVectorEnv:
    """Return the fork with an action in [-1, 1].

    With probability (1 + a) / 2 it leads to state 1, else it pays 0.4 and ends. Q(0, .) is a
    straight line, whose slope changes sign at omega = 0.556 for gamma 0.9.
    """

    def move(state: int, action: float, uniform: float, _: float) -> tuple[int, float, bool]:
        if state == 1:
            return 0, 1.0, True
        return (1, 0.0, False) if uniform < (1 + action) / 2 else (0, FORK_SAFE_REWARD, True)

    return ProbeVectorEnv(continuous(2), move, [0.0] * num_agents, range(num_agents))


def probe_best_action(best: Sequence[float]) -> ProbeVectorEnv:
    """Return a probe of one step with reward -(a - best)^2 and an action in [-1, 3]."""

    def move(state: int, action: float, uniform: float, best: float) -> tuple[int, float, bool]:
        return 0, -((action - best) ** 2), True

    return ProbeVectorEnv(continuous(1, low=-1.0, high=3.0), move, best, range(len(best)))


class PointMassVectorEnv(EpisodicVectorEnv):
    """N masses on a line, for the tests that need continuous states.

    Of the action [N, 2], the first number pushes and the second brakes. An episode ends when
    |x| > 1.5.
    """

    def __init__(self, mass: Sequence[float], agent_ids: Sequence[int]) -> None:
        spec = Spec(
            obs_size=3, action_low=(-2.0, 0.0), action_high=(2.0, 0.5), max_episode_steps=30
        )
        super().__init__(spec, EpisodeSeeds.of_agents(0, agent_ids))
        self._mass_N = np.array(mass)
        self._x_N, self._v_N = np.zeros(len(mass)), np.zeros(len(mass))
        self.start()

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        push_N, brake_N = action.astype(np.float64).T
        self._v_N += 0.1 * (push_N / self._mass_N - brake_N * self._v_N)
        self._x_N += 0.1 * self._v_N
        reward_N = -(self._x_N**2) - 0.01 * push_N**2
        out_N = np.abs(self._x_N) > 1.5
        return self._observe(), reward_N, out_N, np.zeros_like(out_N)

    def reset_row(self, row: int, seed: int) -> Array:
        self._x_N[row], self._v_N[row] = np.random.default_rng(seed).uniform(-1.0, 1.0, 2)
        return self._observe()[row]

    def physics_state(self, row: int) -> AgentState:
        return {"x": np.array(self._x_N[row]), "v": np.array(self._v_N[row])}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        self._x_N[row], self._v_N[row] = state["x"], state["v"]

    def _observe(self) -> Array:
        return np.stack([self._x_N, self._v_N, self._x_N * self._v_N], 1).astype(np.float32)
