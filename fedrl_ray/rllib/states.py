"""The state of an Algorithm between two rounds, as arrays and back.

RLlib's own checkpoints are pickles, so they are not used. Most state comes from RLlib's get_state
and returns through set_state. They omit some state that an exact resume needs, which is read from
RLlib's objects: counters, unfinished episodes, SAC's temperature and PPO's KL coefficient. Timers
and logged metrics are lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ray.rllib.core import (
    ALL_MODULES,
    COMPONENT_METRICS_LOGGER,
    COMPONENT_RL_MODULE,
    DEFAULT_MODULE_ID,
)
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_MODULE_STEPS_TRAINED_LIFETIME,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from algorithms.types import AgentState

from . import replay
from .episodes import episodes_of, load_episodes
from .trees import from_arrays, to_arrays

_COUNTERS = (
    (ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME),
    (LEARNER_RESULTS, ALL_MODULES, NUM_MODULE_STEPS_TRAINED_LIFETIME),
)
"""Metrics of the Algorithm on which its training depends."""


def give_generator(algorithm: Any, generator: np.random.Generator) -> None:
    """Give the generator to the replay buffer, the only part that has one of its own."""
    if algorithm.local_replay_buffer is not None:
        algorithm.local_replay_buffer.rng = generator


def state_of(algorithm: Any) -> AgentState:
    """Return the state. Raises RunError: it holds more than arrays, numbers and text."""
    (learner,) = algorithm.learner_group.foreach_learner(_learner_state)
    runner: Any = algorithm.env_runner
    return to_arrays(
        {
            "learner": learner.get(),
            "env_runner": runner.get_state(not_components=[COMPONENT_RL_MODULE]),
            "counters": [float(algorithm.metrics.peek(key, default=0)) for key in _COUNTERS],
            "iteration": algorithm.training_iteration,
            "episodes": episodes_of(runner, replay.names_of(algorithm.local_replay_buffer)),
            "replay": replay.state_of(algorithm.local_replay_buffer),
        }
    )


def load_state(algorithm: Any, arrays: AgentState) -> None:
    """Restore a state from `state_of` into an Algorithm that has just been built."""
    state = from_arrays(arrays)
    for (part, *key), value in zip(_COUNTERS, state["counters"], strict=True):
        logged = MetricsLogger(root=False)
        logged.log_value(tuple(key), value, reduce="lifetime_sum")
        algorithm.metrics.aggregate([logged.reduce()], key=part)
    algorithm._iteration = state["iteration"]
    steps = int(state["counters"][0])
    algorithm.learner_group.foreach_learner(_load_learner, state=state["learner"], steps=steps)
    runner: Any = algorithm.env_runner
    own = state["learner"]["own"]
    weights = {COMPONENT_RL_MODULE: own[COMPONENT_RL_MODULE], WEIGHTS_SEQ_NO: own[WEIGHTS_SEQ_NO]}
    runner.set_state(state["env_runner"] | weights)
    load_episodes(runner, state["episodes"])
    replay.load_state(algorithm.local_replay_buffer, state["replay"])


_FORGOTTEN = ("last_update_ts_by_mid", "curr_log_alpha", "curr_kl_coeffs_per_module")
"""Attributes per module that learners omit from their get_state.

Each class of learner has some of them, without a common base, so they are looked up by name.
"""


def _learner_state(learner: Any) -> dict[str, Any]:
    forgotten = {n: vars(learner)[n] for n in _FORGOTTEN if n in vars(learner)}
    return {
        "own": learner.get_state(not_components=[COMPONENT_METRICS_LOGGER]),
        "forgotten": {n: _plain(held[DEFAULT_MODULE_ID]) for n, held in forgotten.items()},
    }


def _plain(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else float(value)


def _load_learner(learner: Any, state: dict[str, Any], steps: int) -> None:
    learner.set_state(state["own"])
    for name, value in state["forgotten"].items():
        held = vars(learner)[name]
        if isinstance(value, torch.Tensor):
            with torch.no_grad():
                held[DEFAULT_MODULE_ID].copy_(value)
        else:
            held[DEFAULT_MODULE_ID] = value
    schedulers = vars(learner).get("entropy_coeff_schedulers_per_module")  # PPO's and IMPALA's
    if schedulers is not None:
        schedulers[DEFAULT_MODULE_ID].update(timestep=steps)
