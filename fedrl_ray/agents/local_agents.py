"""The local agents of one worker, one round at a time. They know nothing of Ray."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from algorithms.aggregator import Contribution
from algorithms.types import AgentState, Array, Params

from ..common.error_source import attribute_error
from ..common.errors import RunError, UserError
from ..config import loading
from ..config.build import build_aggregator, build_family
from ..storage import checkpoints, locations
from ..storage.agent_shards import Shard, read_states, write_shard
from .agent_batch import AgentBatch, build_batch
from .evaluation import LearntPolicy, Rollouts
from .execution_profile import device_of, require_compiler, require_device, single_thread
from .messages import RoundOrder, RoundReply


class LocalAgents:
    """The agents `agent_ids` of an experiment (plain data, as `Experiment.to_dict` gives it).

    They step together, in one batch, as long as they are always asked together. With a client
    sampler each agent is a batch of its own, so one can step while another rests. The packing law
    makes the bits the same.
    """

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        single_thread()
        require_device(device_of(experiment))
        require_compiler(experiment)
        self.agent_ids = tuple(agent_ids)
        self._experiment = e = loading.from_dict(experiment)
        self._family = build_family(e)
        self._aggregator = build_aggregator(e)
        self._dynamics = self._family.draw(
            e.environment.settings.perturb, seed=e.seed, agent_ids=self.agent_ids
        )
        together = e.client_sampler.name == "all"
        ids = [self.agent_ids] if together else [(agent,) for agent in self.agent_ids]
        self._batches = [build_batch(e, group) for group in ids]

    def run_round(self, order: RoundOrder) -> RoundReply:
        """Take E local steps from the broadcast with the agents that the order names.

        Raises RunError if their parameters diverge.
        """
        started = time.perf_counter()
        clocks, steps = order.clocks_of(self.agent_ids), self._experiment.round_steps
        batches = self._taking_part(clocks)
        for batch in batches:
            batch.learn(order.shared, clock=clocks[batch.agent_ids[0]], steps=steps)
        ids = tuple(agent for batch in batches for agent in batch.agent_ids)
        shared = joined([batch.shared() for batch in batches])
        _require_finite(shared, ids)
        return_sum, episodes = (
            np.concatenate(x) for x in zip(*(b.drain_episodes() for b in batches), strict=True)
        )
        norm = update_norm(shared, order.shared)
        contribution = Contribution(
            agent_ids=ids,
            shared=shared,
            update_norm=norm,
            steps=np.full(len(ids), steps),
            episodes=episodes,
        )
        return RoundReply(
            round=order.round,
            attempt=order.attempt,
            agent_ids=ids,
            message=self._aggregator.contribute(contribution),
            metrics=joined([b.drain_metrics() for b in batches]) | {"update_norm": norm},
            return_sum=return_sum,
            episodes=episodes,
            seconds=time.perf_counter() - started,
        )

    def evaluate(self, shared: Params) -> Array:
        """Score the global policy on each agent's own environment: [N, episodes]."""
        scores, act = [], LearntPolicy(self._experiment, self._family).of(shared)
        for row, agent in enumerate(self.agent_ids):  # one at a time: packing changes no bit
            own = {name: values[row : row + 1] for name, values in self._dynamics.items()}
            label = [self._family.agent_label(agent)]
            rollouts = Rollouts(self._experiment, self._family, own, index=[agent], labels=label)
            try:
                scores.append(rollouts.returns(act))
            except BaseException as error:
                attribute_error(error, agent)
                raise
        return np.concatenate(scores)

    def save(self, directory: str) -> Shard:
        """Write everything of these agents as one shard file, into a folder or a URI."""
        with locations.writing(locations.parse(directory)) as folder:
            return write_shard(folder, self._states())

    def load(self, directory: str, files: Mapping[int, str]) -> None:
        """Take the agents' states back; `files` names the shard of each agent."""
        own = {agent: files[agent] for agent in self.agent_ids}
        with checkpoints.reading_shards(locations.parse(directory), set(own.values())) as folder:
            states = read_states(folder, own)
        for batch in self._batches:
            for row, agent in enumerate(batch.agent_ids):
                try:
                    batch.load_agent_state(row, states[agent])
                except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
                    reason = f"{type(error).__name__}: {error}"
                    raise UserError(
                        f"{directory}: the state of agent {agent} does not fit this run: {reason}"
                    ) from error
            batch.drain_metrics()
            batch.drain_episodes()

    def close(self) -> None:
        """Close the environments."""
        for batch in self._batches:
            batch.close()

    def _states(self) -> dict[int, AgentState]:
        """Return everything of each agent."""
        return {
            agent: batch.agent_state(row)
            for batch in self._batches
            for row, agent in enumerate(batch.agent_ids)
        }

    def _taking_part(self, clocks: Mapping[int, int]) -> list[AgentBatch]:
        """Return the batches of the agents in `clocks`; the agents of a batch share one clock."""
        if any(len({clocks.get(a) for a in b.agent_ids}) > 1 for b in self._batches):
            self._step_apart()
        return [batch for batch in self._batches if batch.agent_ids[0] in clocks]

    def _step_apart(self) -> None:
        """Make each agent a batch of its own, because their clocks now differ.

        Under `on_failure: continue` this happens if a run is resumed with another packing.
        """
        states = self._states()
        self.close()
        self._batches = [build_batch(self._experiment, (agent,)) for agent in self.agent_ids]
        for batch in self._batches:
            batch.load_agent_state(0, states[batch.agent_ids[0]])


def joined(parts: Sequence[Params]) -> Params:
    """Concatenate arrays by name along the agent axis; names are those of the first part."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def update_norm(shared: Params, broadcast: Params) -> Array:
    """Return the distance of each agent's parameters to the broadcast they started from: [N]."""
    squares = [
        np.square(x.astype(np.float64) - broadcast[name]).reshape(len(x), -1).sum(1)
        for name, x in shared.items()
    ]
    # np.sum would add the list in another order for N = 1 than for N > 1
    return np.asarray(np.sqrt(functools.reduce(np.add, squares)))


def _require_finite(shared: Params, agent_ids: Sequence[int]) -> None:
    finite_N = np.array([np.isfinite(x).reshape(len(x), -1).all(1) for x in shared.values()])
    for agent in np.array(agent_ids)[~finite_N.all(0)]:
        error = RunError(
            f"the parameters of agent {agent} are no longer finite; "
            "a smaller learner.learning_rate or a learner.max_grad_norm may help"
        )
        attribute_error(error, int(agent))
        raise error
