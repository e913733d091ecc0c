"""Families and vector environments for the environment tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from algorithms.types import Array, Dynamics, Spec, Transition
from fedrl_ray.config import plugins
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.episodes import EpisodicVectorEnv
from fedrl_ray.vector_envs.family import EnvFamily

CONFIGS: dict[str, dict[str, Any]] = {
    "gymnasium": {
        "id": "tests.support.user_envs:FedrlTestSpring-v0",
        "parameters": {"mass": {"target": "mass", "low": 0.1, "high": 10.0}},
    }
}
PERTURBED = {
    ("random_mdp", "kernel"): 3.0,
    ("mountain_car", "max_speed"): 0.005,
    ("mountain_car_continuous", "max_speed"): 0.005,
}
"""Where half of nominal is no other value, or none that is felt within a trial."""


@cache
def family_of(name: str, limit: int | None = None) -> EnvFamily:
    """Return a family with its default configuration and episodes of at most `limit` steps."""
    cls = plugins.load("environments", name)
    family: EnvFamily = cls(cls.Config(**CONFIGS.get(name, {})))
    if limit is not None:
        family.spec = replace(family.spec, max_episode_steps=limit)
    return family


def perturbed_value(family: EnvFamily, name: str, parameter: str) -> float:
    p = family.parameters[parameter]
    half = max(p.low, p.nominal / 2)
    return PERTURBED.get((name, parameter), half if half != p.nominal else p.nominal * 1.5)


def varied(name: str, n: int) -> Dynamics:
    """Return dynamics from nominal in row 0 to fully perturbed in row n - 1."""
    family = family_of(name)
    ends = {p: perturbed_value(family, name, p) for p in family.parameters}
    return {p: np.linspace(v[0], ends[p], n) for p, v in family.nominal().items()}


def vector_env_of(
    family: EnvFamily, dynamics: Dynamics, agents: Sequence[int], *, retire: bool = False
) -> EpisodicVectorEnv:
    rows = {name: values[list(agents)] for name, values in dynamics.items()}
    return family.make(rows, EpisodeSeeds.of_agents(5, agents), retire=retire)


def actions_for(spec: Spec, steps: int, n: int, hold: int = 8) -> Array:
    """Return random actions, each held for some steps: [steps, n] or [steps, n, A]."""
    rng, draws = np.random.default_rng(3), -(-steps // hold)
    if spec.kind == "continuous":
        shape = draws, n, len(spec.action_low)
        drawn = rng.uniform(spec.action_low, spec.action_high, shape).astype(np.float32)
    else:
        drawn = rng.integers(spec.num_actions, size=(draws, n))
    return np.repeat(drawn, hold, axis=0)[:steps]


def run(vector_env: EpisodicVectorEnv, actions: Array) -> list[Transition]:
    return [vector_env.step(action) for action in actions]


def bits(transitions: list[Transition], row: int) -> dict[str, Array]:
    fields = Transition._fields
    return {f: np.stack([getattr(t, f)[row] for t in transitions]) for f in fields}
