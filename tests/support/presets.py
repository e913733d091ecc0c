"""The experiment files of tune_configs/, and small copies of them for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedrl_ray.config.loading import from_dict, load
from fedrl_ray.config.schema import Experiment

FOLDER = Path(__file__).parents[2] / "tune_configs"
PRESETS = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
STEPS, ROUNDS, AGENTS = 12, 2, 3
SMALL_LEARNER = {
    "hidden_sizes": [8, 8],
    "batch_size": 4,
    "replay_capacity": 16,
    "learning_starts": 6,
}
SMALL_RLLIB = {"interval_unit": "steps", "iteration_steps": None}
SMALL_RLLIB_CONFIG = {"minibatch_size": 6, "num_epochs": 1, "num_envs_per_env_runner": 2}
OWN_ENVIRONMENTS = {
    "gymnasium-by-state": "SavingSpring",
    "gymnasium-by-replay": "Spring",
}
"""Two more, not files: a user's environment that saves itself, one whose actions are replayed."""


def small(preset: str, **federation: Any) -> Experiment:
    """Return a preset with its keys but of a small size, in this process."""
    data = load(PRESETS[preset]).to_dict() if preset in PRESETS else own_environment(preset)
    budget = {"steps": ROUNDS * STEPS, "sync_interval": STEPS, "num_agents": AGENTS}
    data["federation"] |= budget | {"backend": "in_process"} | federation
    data["learner"] |= {k: v for k, v in SMALL_LEARNER.items() if k in data["learner"]}
    if data["learner"]["name"] == "rllib":
        data["learner"] |= SMALL_RLLIB
        data["learner"]["config"] |= SMALL_RLLIB_CONFIG
    perturbed = data["evaluation"]["perturb"] or data["environment"]["perturb"]
    size = 2 ** len(perturbed) + (len(perturbed) > 1)
    data["evaluation"] |= {"every": None, "grid": size, "episodes": 1}
    data["checkpoint"] |= {"every": STEPS}
    return from_dict(data)


def own_environment(name: str) -> dict[str, Any]:
    """Return the keys of an experiment on an environment of tests/support/user_envs.py."""
    environment = {
        "name": "gymnasium",
        "factory": f"tests.support.user_envs:{OWN_ENVIRONMENTS[name]}",
        "max_episode_steps": 10,
        "parameters": {"mass": {"target": "mass", "low": 0.1}},
        "perturb": {"mass": 0.5},
    }
    return from_dict({"learner": {"name": "fedrdqn"}, "environment": environment}).to_dict()


def unscored(preset: str, **federation: Any) -> Experiment:
    """Return the same experiment without an evaluation."""
    data = small(preset, **federation).to_dict()
    data["evaluation"] |= {"where": "none"}
    return from_dict(data)
