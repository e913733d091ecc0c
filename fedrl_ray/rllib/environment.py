"""Our environments as the vector environment that RLlib's env runner steps.

Ours reset a row in the step that ends its episode. RLlib expects the reset in the step after that,
and ignores the action of that step. So each row here is a vector environment with a single row,
which is stepped only when RLlib's action counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from algorithms import prefixes
from algorithms.draws import Role
from algorithms.types import AgentState, Array, Spec

from ..config import loading
from ..config.build import build_family
from ..vector_envs.episode_seeds import EpisodeSeeds

COPIES_APART = 10**9
"""Distance between the first episodes of two copies, so that they never share an episode."""


def spaces_of(spec: Spec) -> tuple[spaces.Box, spaces.Space[Any]]:
    """Return the observation and action space of a family as Gymnasium's spaces."""
    obs = spaces.Box(-np.inf, np.inf, (spec.obs_size,), np.float32)
    if spec.kind == "discrete":
        return obs, spaces.Discrete(spec.num_actions)
    low, high = (np.array(x, dtype=np.float32) for x in (spec.action_low, spec.action_high))
    return obs, spaces.Box(low, high, dtype=np.float32)


class AgentEnv(VectorEnv):  # type: ignore[type-arg]
    """`num_envs` copies of one agent's environment, each with its own keyed episodes.

    context: RLlib's `env_config`, which holds the experiment as plain data and the agent's id.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, context: Mapping[str, Any]) -> None:
        experiment, agent = loading.from_dict(context["experiment"]), int(context["agent"])
        self.num_envs = int(context["num_envs"])
        family = build_family(experiment)
        self.single_observation_space, self.single_action_space = spaces_of(family.spec)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        perturb, seed = experiment.environment.settings.perturb, experiment.seed
        dynamics = family.draw(perturb, seed=seed, agent_ids=[agent])
        firsts = [copy * COPIES_APART for copy in range(self.num_envs)]
        seeds = [EpisodeSeeds(seed, Role.EPISODE, [agent], [first]) for first in firsts]
        self._copies = [family.make(dynamics, s, retire=False) for s in seeds]
        self._ended = np.zeros(self.num_envs, dtype=bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode in every copy, with our own seeds."""
        for copy in self._copies:
            copy.restart()
        self._ended[:] = False
        return self._obs(), {}

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Step each copy, except those whose episode ended in the last step."""
        obs, reward = self._obs(), np.zeros(self.num_envs)
        terminated, truncated = (np.zeros(self.num_envs, dtype=bool) for _ in range(2))
        for i, copy in enumerate(self._copies):
            if self._ended[i]:
                continue
            transition = copy.step(np.asarray(actions)[i : i + 1])
            obs[i], reward[i] = transition.next_obs[0], transition.reward[0]
            terminated[i] = bool(transition.terminated[0])
            truncated[i] = copy.finished[0] and not terminated[i]
        self._ended = terminated | truncated
        return obs, reward, terminated, truncated, {}

    def drain_episodes(self) -> tuple[float, int]:
        """Return the sum of returns and the number of episodes since the last call."""
        drained = [copy.drain_episodes() for copy in self._copies]
        return sum(float(s[0]) for s, _ in drained), sum(int(n[0]) for _, n in drained)

    def agent_state(self) -> AgentState:
        """Return the state of all copies."""
        states = {str(i): copy.agent_state(0) for i, copy in enumerate(self._copies)}
        return prefixes.join(states) | {"ended": self._ended.copy()}

    def load_agent_state(self, state: AgentState) -> None:
        """Restore a state from `agent_state`."""
        for i, copy in enumerate(self._copies):
            copy.load_agent_state(0, prefixes.select(state, str(i)))
            copy.drain_episodes()
        self._ended = np.array(state["ended"])

    def close_extras(self, **kwargs: Any) -> None:
        """Close every copy."""
        for copy in self._copies:
            copy.close()

    def _obs(self) -> Array:
        return np.stack([copy.obs[0] for copy in self._copies])
