"""A local agent: an RLlib Algorithm in this process, with our environment."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import warnings
from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.impala.impala_learner import IMPALALearner
from ray.rllib.core import DEFAULT_MODULE_ID

from algorithms.types import AgentState, Array, Params

from ..config.build import build_family
from ..config.schema import Experiment
from . import metrics, module, states
from .algorithm import algorithm_config, iteration_steps, set_iteration
from .environment import AgentEnv
from .generators import keyed
from .settings import settings_of


class Agent:
    """An Algorithm and its environment, with all random draws keyed by (seed, agent)."""

    def __init__(self, experiment: Experiment, agent: int) -> None:
        self._experiment, self._id = experiment, agent
        self._algorithm: Any = self._build()  # RLlib's annotations are too wide to call it
        self._is_fresh = True

    @property
    def env(self) -> AgentEnv:
        """The copies of the agent's environment."""
        env: AgentEnv = self._algorithm.env_runner.env.unwrapped
        return env

    def train(self, step: int, iterations: int) -> dict[str, float]:
        """Run training iterations from a local step on, and return the means of their metrics."""
        self._is_fresh = False
        with keyed(self._experiment.seed, self._id, step) as generator:
            states.give_generator(self._algorithm, generator)
            results = [self._algorithm.train() for _ in range(iterations)]
        return metrics.mean([metrics.of_result(result) for result in results])

    def weights(self) -> Params:
        """Return the averaged weights, without an agent axis."""
        return module.weights(self._module())

    def load_weights(self, shared: Mapping[str, Array]) -> None:
        """Take the broadcast into the learner and into the env runner."""
        self._algorithm.learner_group.foreach_learner(_forget_queued_weights)
        module.load_weights(self._module(), shared)
        own = self._module().get_state(inference_only=True)
        self._algorithm.env_runner.module.set_state(own)

    def agent_state(self) -> AgentState:
        """Return everything except the environment."""
        return states.state_of(self._algorithm)

    def load_agent_state(self, state: AgentState) -> None:
        """Restore a state from `agent_state`, into a new Algorithm if this one has learnt."""
        if not self._is_fresh:
            self.close()
            self._algorithm = self._build()
        self._is_fresh = False
        states.load_state(self._algorithm, state)

    def close(self) -> None:
        """Stop the Algorithm; a second call does nothing."""
        self._algorithm.stop()

    def _module(self) -> Any:
        (found,) = self._algorithm.learner_group.foreach_learner(_module_of)
        return found.get()

    def _build(self) -> Any:
        e = self._experiment
        settings = settings_of(e)
        config = algorithm_config(settings, build_family(e).spec)
        set_iteration(config, iteration_steps(settings, e.federation.sync_interval))
        config.environment(AgentEnv, env_config={"experiment": e.to_dict(), "agent": self._id})
        logging.getLogger("ray.rllib").setLevel(logging.ERROR)
        with keyed(e.seed, self._id, 0), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            algorithm = config.build_algo()
        with contextlib.suppress(OSError):  # RLlib creates it empty in ~/ray_results
            os.rmdir(algorithm.logdir)
        return algorithm


def _forget_queued_weights(learner: Any) -> None:
    """Drop the weights that a learner with its own thread still holds for the env runner.

    It passes them on one update late, so old weights would replace the broadcast.
    """
    if isinstance(learner, IMPALALearner):  # APPO's too
        learner._learner_state = None
        with contextlib.suppress(queue.Empty):
            learner._learner_state_queue.get_nowait()


def _module_of(learner: Any) -> Any:
    return learner.module[DEFAULT_MODULE_ID].unwrapped()
