"""`learner: {name: rllib}`: what it learns by, the laws it keeps, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrl_ray.config import Experiment
from fedrl_ray.errors import UserError
from fedrl_ray.experiments import from_dict
from fedrl_ray.run import Run
from fedrl_ray.run_directory import METRICS, read_rows

from .conftest import merged
from .runs import digests, train

NETWORK = {"fcnet_hiddens": [8, 8]}
REPLAY = {"num_steps_sampled_before_learning_starts": 10, "train_batch_size_per_learner": 8}
LEARNERS: dict[str, dict[str, Any]] = {
    "PPO": {
        "config": {
            "minibatch_size": 20,
            "num_epochs": 2,
            "num_envs_per_env_runner": 2,
            "entropy_coeff": [[0, 0.1], [100, 0.0]],
            "model_config": NETWORK,
        }
    },
    "DQN": {
        "config": REPLAY
        | {
            "model_config": NETWORK,
            "epsilon": [[0, 1.0], [50, 0.1]],
            "target_network_update_freq": 8,
            "replay_buffer_config": {
                "type": "PrioritizedEpisodeReplayBuffer",
                "capacity": 32,
                "alpha": 0.6,
                "beta": 0.4,
            },
        },
    },
    "SAC": {"config": REPLAY | {"model_config": NETWORK}},
}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "PPO": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "DQN": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "SAC": {"name": "pendulum", "perturb": {"mass": 0.5}},
}


def small(algorithm: str, **changes: Any) -> Experiment:
    """Two agents, two rounds of 40 steps, in this process."""
    base = {
        "federation": {"num_agents": 2, "steps": 80, "sync_interval": 40, "pool": "in_process"},
        "learner": {"name": "rllib", "algorithm": algorithm, **LEARNERS[algorithm]},
        "environment": ENVIRONMENTS[algorithm],
        "evaluation": {"every": None, "grid": 3, "episodes": 1},
        "checkpoint": {"every": 40},
    }
    return from_dict(merged(base, changes))


@pytest.fixture(autouse=True)
def _ray(local_ray: None) -> Iterator[None]:
    """Every Algorithm puts its configuration into an object store."""
    yield


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_packing_and_resuming_change_no_bit(algorithm: str, tmp_path: Path) -> None:
    """Agents together; one by one, stopped after the first round and resumed together."""
    together = train(small(algorithm), tmp_path / "together")
    stopped = Run(small(algorithm, federation={"agents_per_actor": 1}), tmp_path / "stopped")
    stopped.advance()
    stopped.close()
    resumed = Run(small(algorithm), tmp_path / "stopped", resume=True)
    assert resumed.driver.server.round == 1
    list(resumed)
    assert digests(resumed.finish()) == digests(together)
    resumed.close()
    (*_, row) = read_rows(tmp_path / "stopped" / METRICS)
    losses = [v for name, v in row["agents"].items() if "loss" in name]
    assert losses and np.isfinite(losses).all()
