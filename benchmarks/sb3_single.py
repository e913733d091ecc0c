"""One run of Stable-Baselines3 on the nominal environment of a preset.

    python benchmarks/sb3_single.py tune_configs/acrobot-fedrdqn.yaml SEED OUTPUT

The settings are those of rl-baselines3-zoo (hyperparams/dqn.yml, Acrobot-v1; hyperparams/ddpg.yml,
Pendulum). The budget is the preset's steps per agent. Evaluations use the episodes of the preset's
own nominal evaluation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DDPG, DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise

from fedrl_ray.agents.evaluation import GridEvaluator
from fedrl_ray.config import loading
from fedrl_ray.config.build import build_family
from fedrl_ray.config.schema import Experiment
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds

ENVIRONMENTS = {"acrobot": "Acrobot-v1", "pendulum": "Pendulum-v1"}


def build(experiment: Experiment, seed: int) -> Any:
    """Return the zoo's agent for the environment of an experiment."""
    env = gymnasium.make(ENVIRONMENTS[experiment.environment.name])
    if experiment.environment.name == "acrobot":
        return DQN(
            "MlpPolicy", env, seed=seed, learning_rate=6.3e-4, batch_size=128, buffer_size=50_000,
            learning_starts=0, gamma=0.99, target_update_interval=250, train_freq=4,
            gradient_steps=-1, exploration_fraction=0.12, exploration_final_eps=0.1,
            policy_kwargs={"net_arch": [256, 256]},
        )  # fmt: skip
    noise = NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))
    return DDPG(
        "MlpPolicy", env, seed=seed, learning_rate=1e-3, buffer_size=200_000, gamma=0.98,
        learning_starts=10_000, action_noise=noise, gradient_steps=1, train_freq=1,
        policy_kwargs={"net_arch": [400, 300]},
    )  # fmt: skip


class Evaluations(BaseCallback):
    """Evaluations during training, as often as the preset evaluates."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self._experiment, self._family = experiment, build_family(experiment)
        self._index = GridEvaluator(experiment, self._family).nominal_index

    def _on_step(self) -> bool:
        every = self._experiment.evaluation.every or self._experiment.federation.steps
        if self.num_timesteps % every == 0:
            self.rows.append({"steps": self.num_timesteps, "nominal": self._score()})
        return True

    def _score(self) -> float:
        """Return the mean return of greedy episodes on the nominal environment."""
        e = self._experiment.evaluation
        rows = {n: np.repeat(x, e.episodes) for n, x in self._family.nominal().items()}
        seeds = EpisodeSeeds.of_grid(e.seed, [self._index], e.episodes)
        env = self._family.make(rows, seeds, retire=True)
        while env.alive.any():
            env.step(self.model.predict(env.obs, deterministic=True)[0])
        return float(env.finished_return.mean())


def main(preset: str, seed: str, output: str) -> None:
    """Train one run and write its evaluations."""
    torch.set_num_threads(1)
    experiment = loading.load(preset)
    evaluations = Evaluations(experiment)
    model = build(experiment, int(seed))
    model.learn(experiment.federation.steps, callback=evaluations)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in evaluations.rows)
    (folder / "evaluations.jsonl").write_text(lines)
    (folder / "summary.json").write_text(json.dumps({"status": "completed"}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
