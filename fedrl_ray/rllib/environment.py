"""Our environments as the vector environment that RLlib's env runner steps.

One row is one copy of an agent's environment, a stack of its own: a stack resets in the step that
ends an episode, while RLlib expects the reset in the step after it and then passes the action over.
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
from ..config.checks import build_family
from ..vector_envs.episodes import EpisodeSeeds

COPIES_APART = 10**9
"""Number of the first episode of a copy: no copy ever reaches the episodes of the next."""


def spaces_of(spec: Spec) -> tuple[spaces.Box, spaces.Space[Any]]:
    """Observation and action space of a family, as Gymnasium says it."""
    obs = spaces.Box(-np.inf, np.inf, (spec.obs_size,), np.float32)
    if spec.kind == "discrete":
        return obs, spaces.Discrete(spec.num_actions)
    low, high = (np.array(x, dtype=np.float32) for x in (spec.action_low, spec.action_high))
    return obs, spaces.Box(low, high, dtype=np.float32)


class AgentEnv(VectorEnv):  # type: ignore[type-arg]
    """`num_envs` copies of one agent's environment, each with its own keyed episodes.

    context: what RLlib hands over of `env_config`, plain data: the experiment and the agent's id.
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
        """Every copy at the start of an episode. Seeds are our own."""
        for copy in self._copies:
            copy.restart()
        self._ended[:] = False
        return self._obs(), {}

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One step of each copy; one whose episode ended in the last step starts the next."""
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
        """Sum of returns and number of the episodes finished since the last call."""
        drained = [copy.drain_episodes() for copy in self._copies]
        return sum(float(s[0]) for s, _ in drained), sum(int(n[0]) for _, n in drained)

    def agent_state(self) -> AgentState:
        """Everything of all copies."""
        states = {str(i): copy.agent_state(0) for i, copy in enumerate(self._copies)}
        return prefixes.join(states) | {"ended": self._ended.copy()}

    def load_agent_state(self, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
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
