"""RLlib's DQN for `rivals.py`: one agent of the new API stack, all in this process.

    python benchmarks/rival_rllib.py CASE OUTPUT

A round is E environment steps with an update each. This is plain DQN without a degree network and
without averaging.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from fedrl_ray.ray_cluster import cluster


def main(case: dict[str, Any]) -> dict[str, Any]:
    """Run a case; return the seconds of each timed round, and the steps and updates in them."""
    logging.disable(logging.WARNING)
    cluster.connect()
    algorithm = config(case).build_algo()
    for _ in range(case["warm_up"]):
        algorithm.train()
    seconds, steps, updates = [], [steps_done(algorithm)], [updates_done(algorithm)]
    for _ in range(case["rounds"]):
        started = time.perf_counter()
        algorithm.train()
        seconds.append(time.perf_counter() - started)
    steps.append(steps_done(algorithm))
    updates.append(updates_done(algorithm))
    algorithm.stop()
    ray.shutdown()
    return {"round_s": seconds, "steps": steps[1] - steps[0], "updates": updates[1] - updates[0]}


def config(case: dict[str, Any]) -> DQNConfig:
    """Return RLlib's settings for a case on cartpole."""
    c = case["learner"]
    model = DefaultModelConfig(fcnet_hiddens=c["hidden_sizes"], head_fcnet_hiddens=[])
    return (
        DQNConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, rollout_fragment_length=1)
        .rl_module(model_config=model)
        .training(
            train_batch_size=c["batch_size"], lr=c["learning_rate"], tau=c["target_rate"],
            grad_clip=c["max_grad_norm"], epsilon=c["epsilon"], target_network_update_freq=1,
            num_steps_sampled_before_learning_starts=c["learning_starts"],
            double_q=False, dueling=False, num_atoms=1, n_step=1,
            replay_buffer_config={"type": "EpisodeReplayBuffer", "capacity": c["replay_capacity"]},
        )
        .reporting(
            min_sample_timesteps_per_iteration=case["sync_interval"], min_time_s_per_iteration=0
        )
    )  # fmt: skip


def steps_done(algorithm: Any) -> int:
    """Return the environment steps so far."""
    return int(algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime")))


def updates_done(algorithm: Any) -> int:
    """Return the gradient steps so far, as the optimizer counts them."""
    learner = algorithm.learner_group._learner
    (optimizer,) = learner._named_optimizers.values()
    return int(next(iter(optimizer.state.values()))["step"])


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]))))
