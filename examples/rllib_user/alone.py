"""RLlib as you know it: one PPO on one environment, `python alone.py [ITERATIONS]`."""

from __future__ import annotations

import sys

import my_env  # noqa: F401  registers the environment
from ray.rllib.algorithms.ppo import PPOConfig


def main(iterations: int) -> None:
    """Train PPO and print its mean return after every iteration."""
    config = (
        PPOConfig()
        .environment("cartpole-of-length", env_config={"half_length": 0.5})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=8)
        .training(
            train_batch_size_per_learner=500,
            minibatch_size=250,
            num_epochs=10,
            lr=1e-3,
            gamma=0.98,
            lambda_=0.8,
            vf_clip_param=1000.0,
        )
    )
    algorithm = config.build_algo()
    for iteration in range(1, iterations + 1):
        result = algorithm.train()
        print(iteration, result["env_runners"].get("episode_return_mean"))
    algorithm.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
