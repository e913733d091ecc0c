"""N >= 1 local agents: learners and their environments, one round at a time.

What runs inside an actor. It knows nothing of Ray.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from algorithms.types import Array, Params

from . import checkpoints, experiments, plugins, storage
from .agent_shards import read_states, write_shard
from .blame import blame
from .config_checks import build_family
from .errors import RunError, UserError
from .evaluation import LearntPolicy, Rollouts
from .lock_step import Agents, LockStep, in_blocks
from .messages import RoundOrder, RoundReply, Shard
from .profile import device_of, require_device, single_thread
from .stacks.episodes import EpisodeSeeds


class LocalAgents:
    """The agents `agent_ids` of an experiment (plain data, as `Experiment.to_dict` gives it)."""

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        single_thread()
        require_device(device_of(experiment))
        self.agent_ids = tuple(agent_ids)
        self._experiment = e = experiments.from_dict(experiment)
        self._family = build_family(e)
        aggregator = plugins.load("aggregators", e.aggregator.name)
        self._aggregator = aggregator(e.aggregator.settings)
        self._dynamics = self._family.draw(
            e.environment.settings.perturb, seed=e.seed, agent_ids=self.agent_ids
        )
        self._agents = self._build()

    def _build(self) -> Agents:
        learner = plugins.load("learners", self._experiment.learner.name)
        touched = None
        if hasattr(learner, "bytes_per_step"):
            touched = learner.bytes_per_step(self._experiment.learner.settings, self._family.spec)
        return in_blocks(self._in_lock_step, self.agent_ids, touched)

    def _in_lock_step(self, agent_ids: Sequence[int]) -> LockStep:
        """A learner of some of the agents, and their environments."""
        e, spec = self._experiment, self._family.spec
        learner = plugins.load("learners", e.learner.name)
        dynamics = {name: values[self._rows(agent_ids)] for name, values in self._dynamics.items()}
        seeds = EpisodeSeeds.of_agents(e.seed, agent_ids)
        return LockStep(
            learner(e.learner.settings, spec, agent_ids=agent_ids, seed=e.seed),
            self._family.make(dynamics, seeds, retire=False),
        )

    def _rows(self, agent_ids: Sequence[int]) -> list[int]:
        return [self.agent_ids.index(agent) for agent in agent_ids]

    def run_round(self, order: RoundOrder) -> RoundReply:
        """E local steps from the broadcast parameters. Raises RunError if they diverge."""
        started = time.perf_counter()
        steps = self._experiment.round_steps
        self._agents.learn(order.shared, clock=order.round * steps, steps=steps)
        shared = self._agents.shared()
        self._require_finite(shared)
        return_sum, episodes = self._agents.drain_episodes()
        return RoundReply(
            round=order.round,
            attempt=order.attempt,
            agent_ids=self.agent_ids,
            partial=self._aggregator.partial(shared),
            metrics=self._agents.drain_metrics()
            | {"update_norm": update_norm(shared, order.shared)},
            return_sum=return_sum,
            episodes=episodes,
            seconds=time.perf_counter() - started,
        )

    def evaluate(self, shared: Params) -> Array:
        """Score the global policy on each agent's own environment: [N, episodes]."""
        scores, act = [], LearntPolicy(self._experiment, self._family).of(shared)
        for row, agent in enumerate(self.agent_ids):  # one at a time: packing changes no bit
            own = {name: values[row : row + 1] for name, values in self._dynamics.items()}
            rollouts = Rollouts(self._experiment, self._family, own, index=[agent])
            try:
                scores.append(rollouts.returns(act))
            except Exception as error:
                blame(error, agent)
                raise
        return np.concatenate(scores)

    def save(self, directory: str) -> Shard:
        """Write everything these agents remember as one shard file, into a folder or a URI."""
        with storage.writing(storage.parse(directory)) as folder:
            states = {
                agent: self._agents.agent_state(row) for row, agent in enumerate(self.agent_ids)
            }
            return write_shard(folder, states)

    def load(self, directory: str, files: Mapping[int, str]) -> None:
        """Take the agents' states back; `files` names the shard of each agent."""
        own = {agent: files[agent] for agent in self.agent_ids}
        with checkpoints.reading_shards(storage.parse(directory), set(own.values())) as folder:
            states = read_states(folder, own)
        for row, agent in enumerate(self.agent_ids):
            try:
                self._agents.load_agent_state(row, states[agent])
            except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"{directory}: the state of agent {agent} does not fit this run: {reason}"
                ) from error
        self._agents.drain_metrics()
        self._agents.drain_episodes()

    def close(self) -> None:
        """Close the environments."""
        self._agents.close()

    def _require_finite(self, shared: Params) -> None:
        finite_N = np.array([np.isfinite(x).reshape(len(x), -1).all(1) for x in shared.values()])
        for agent in np.array(self.agent_ids)[~finite_N.all(0)]:
            error = RunError(
                f"the parameters of agent {agent} are no longer finite; "
                "a smaller learner.learning_rate or a learner.max_grad_norm may help"
            )
            blame(error, int(agent))
            raise error


def host_agents(experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> LocalAgents:
    """The agents as their learner wants them hosted."""
    learner = plugins.load("learners", experiment["learner"]["name"])
    host_class = learner.host_class() if hasattr(learner, "host_class") else LocalAgents
    return host_class(experiment, agent_ids)


def update_norm(shared: Params, broadcast: Params) -> Array:
    """Distance of each agent's parameters to the broadcast they started from: [N]."""
    squares = [
        np.square(x.astype(np.float64) - broadcast[name]).reshape(len(x), -1).sum(1)
        for name, x in shared.items()
    ]
    # np.sum adds a list in another order for N = 1 than for N > 1
    return np.asarray(np.sqrt(functools.reduce(np.add, squares)))
