"""N >= 1 local agents in lock-step: a learner and its environments, one round at a time.

What runs inside an actor. It knows nothing of Ray.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from algorithms import prefixes
from algorithms.types import AgentState, Array, Params

from ..common.error_source import attribute_error
from ..common.errors import RunError, UserError
from ..config import loading, plugins
from ..config.checks import build_family
from ..storage import checkpoints, locations
from ..storage.agent_shards import Shard, read_states, write_shard
from ..vector_envs.episodes import EpisodeSeeds
from .evaluation import LearntPolicy, Rollouts
from .execution_profile import device_of, require_device, single_thread
from .messages import RoundOrder, RoundReply


class LocalAgents:
    """The agents `agent_ids` of an experiment (plain data, as `Experiment.to_dict` gives it)."""

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        single_thread()
        require_device(device_of(experiment))
        self.agent_ids = tuple(agent_ids)
        self._experiment = e = loading.from_dict(experiment)
        self._family = build_family(e)
        aggregator = plugins.load("aggregators", e.aggregator.name)
        self._aggregator = aggregator(e.aggregator.settings)
        self._dynamics = self._family.draw(
            e.environment.settings.perturb, seed=e.seed, agent_ids=self.agent_ids
        )
        self._learner, self._env = self._build()

    def _build(self) -> tuple[Any, Any]:
        """A learner of these agents, and their environments."""
        e = self._experiment
        learner = plugins.load("learners", e.learner.name)
        seeds = EpisodeSeeds.of_agents(e.seed, self.agent_ids)
        return (
            learner(e.learner.settings, self._family.spec, agent_ids=self.agent_ids, seed=e.seed),
            self._family.make(self._dynamics, seeds, retire=False),
        )

    def run_round(self, order: RoundOrder) -> RoundReply:
        """E local steps from the broadcast parameters. Raises RunError if they diverge."""
        started = time.perf_counter()
        self._learn(order)
        shared = self._learner.shared()
        self._require_finite(shared)
        return_sum, episodes = self._env.drain_episodes()
        return RoundReply(
            round=order.round,
            attempt=order.attempt,
            agent_ids=self.agent_ids,
            partial=self._aggregator.partial(shared),
            metrics=self._learner.drain_metrics()
            | {"update_norm": update_norm(shared, order.shared)},
            return_sum=return_sum,
            episodes=episodes,
            seconds=time.perf_counter() - started,
        )

    def _learn(self, order: RoundOrder) -> None:
        steps = self._experiment.round_steps
        self._learner.clock = order.round * steps
        self._learner.load_shared(order.shared)
        for _ in range(steps):
            self._learner.step(self._env)

    def evaluate(self, shared: Params) -> Array:
        """Score the global policy on each agent's own environment: [N, episodes]."""
        scores, act = [], LearntPolicy(self._experiment, self._family).of(shared)
        for row, agent in enumerate(self.agent_ids):  # one at a time: packing changes no bit
            own = {name: values[row : row + 1] for name, values in self._dynamics.items()}
            rollouts = Rollouts(self._experiment, self._family, own, index=[agent])
            try:
                scores.append(rollouts.returns(act))
            except Exception as error:
                attribute_error(error, agent)
                raise
        return np.concatenate(scores)

    def save(self, directory: str) -> Shard:
        """Write everything these agents remember as one shard file, into a folder or a URI."""
        with locations.writing(locations.parse(directory)) as folder:
            states = {agent: self._state(row) for row, agent in enumerate(self.agent_ids)}
            return write_shard(folder, states)

    def load(self, directory: str, files: Mapping[int, str]) -> None:
        """Take the agents' states back; `files` names the shard of each agent."""
        own = {agent: files[agent] for agent in self.agent_ids}
        with checkpoints.reading_shards(locations.parse(directory), set(own.values())) as folder:
            states = read_states(folder, own)
        for row, agent in enumerate(self.agent_ids):
            try:
                self._load_agent(row, states[agent])
            except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"{directory}: the state of agent {agent} does not fit this run: {reason}"
                ) from error
        self._learner.drain_metrics()
        self._env.drain_episodes()

    def _load_agent(self, row: int, state: AgentState) -> None:
        self._learner.load_agent_state(row, prefixes.select(state, "learner"))
        self._env.load_agent_state(row, prefixes.select(state, "environment"))

    def close(self) -> None:
        """Close the environments."""
        self._env.close()

    def _state(self, row: int) -> AgentState:
        return prefixes.join(
            {
                "learner": self._learner.agent_state(row),
                "environment": self._env.agent_state(row),
            }
        )

    def _require_finite(self, shared: Params) -> None:
        finite_N = np.array([np.isfinite(x).reshape(len(x), -1).all(1) for x in shared.values()])
        for agent in np.array(self.agent_ids)[~finite_N.all(0)]:
            error = RunError(
                f"the parameters of agent {agent} are no longer finite; "
                "a smaller learner.learning_rate or a learner.max_grad_norm may help"
            )
            attribute_error(error, int(agent))
            raise error


def build_local_agents(experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> LocalAgents:
    """The agents as their learner wants them hosted."""
    learner = plugins.load("learners", experiment["learner"]["name"])
    agents_class = learner.agents_class() if hasattr(learner, "agents_class") else LocalAgents
    return agents_class(experiment, agent_ids)


def update_norm(shared: Params, broadcast: Params) -> Array:
    """Distance of each agent's parameters to the broadcast they started from: [N]."""
    squares = [
        np.square(x.astype(np.float64) - broadcast[name]).reshape(len(x), -1).sum(1)
        for name, x in shared.items()
    ]
    # np.sum adds a list in another order for N = 1 than for N > 1
    return np.asarray(np.sqrt(functools.reduce(np.add, squares)))
