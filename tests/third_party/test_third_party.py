"""Packages of others train with a perturbed parameter by YAML alone: `make test-third-party`."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fedrl_ray.config.build import build_family
from fedrl_ray.config.loading import load
from fedrl_ray.config.schema import Experiment
from fedrl_ray.environments.gymnasium import Gymnasium
from fedrl_ray.runs.run import Run
from fedrl_ray.vector_envs.user import paths
from tests.support.runs import digests, train

HERE = Path(__file__).parent
MODULES = {
    "electric_motor": "gym_electric_motor",
    "highway": "highway_env",
    "minigrid": "minigrid",
    "pyflyt": "PyFlyt",
}
"""Experiment -> module of the package that it needs."""
INSTALLED = [name for name, module in MODULES.items() if find_spec(module) is not None]
SMALL = (
    "federation.num_agents=2", "federation.steps=80", "federation.sync_interval=20",
    "federation.backend=in_process", "learner.learning_starts=20", "learner.batch_size=8",
    "evaluation.every=40", "evaluation.episodes=1", "checkpoint.every=40",
    "environment.max_episode_steps=15",
)  # fmt: skip
PLACES = {
    "electric_motor": "unwrapped.physical_system.electrical_motor.motor_parameter[r_a]",
    "highway": "unwrapped.config[vehicles_density]",
    "minigrid": "unwrapped.width",
    "pyflyt": "unwrapped.env.drones[0].motors.max_rpm[3]",
}
"""Experiment -> the place in a running environment that holds its first parameter."""

if not INSTALLED:
    pytest.skip("no third-party environments", allow_module_level=True)
each = pytest.mark.parametrize("name", INSTALLED)


def small(name: str) -> Experiment:
    return load(HERE / f"{name}.yaml", SMALL)


def gymnasium_family(experiment: Experiment) -> Gymnasium:
    family = build_family(experiment)
    assert isinstance(family, Gymnasium)
    return family


@each
def test_agents_have_different_physics(name: str) -> None:
    experiment = small(name)
    family = gymnasium_family(experiment)
    drawn = family.draw(family.config.perturb, seed=experiment.seed, agent_ids=[0, 1])
    parameter = next(iter(family.config.perturb))
    held = []
    for agent in (0, 1):
        env = family.build({n: float(drawn[n][agent]) for n in family.parameters})
        for seed in (0, 1):  # a reset may make a new simulation
            env.reset(seed=seed)
            held.append(paths.read(env.env, paths.parse(PLACES[name]).parts))
        env.close()
    assert held == [drawn[parameter][agent] for agent in (0, 0, 1, 1)]
    assert drawn[parameter][0] != drawn[parameter][1]


@each
def test_it_trains_and_resumes_exactly(name: str, tmp_path: Path) -> None:
    assert gymnasium_family(small(name)).exemptions == {}
    whole = train(small(name), tmp_path / "whole")
    assert whole["steps"] == 80
    assert all(math.isfinite(whole["evaluation"][n]) for n in ("nominal", "average", "worst"))
    first = Run(small(name), tmp_path / "parts")
    for _ in range(2):
        first.advance()
    first.close()
    second = Run(small(name), tmp_path / "parts", resume=True)
    list(second)
    assert digests(second.finish()) == digests(whole)
    second.close()


@each
def test_the_estimate_of_memory_is_near_the_peak(name: str) -> None:
    program = [sys.executable, "-m", "tests.third_party.peak_memory", str(HERE / f"{name}.yaml")]
    ended = subprocess.run([*program, *SMALL], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    print(f"{name}: {found}")
    assert 0.9 * found["measured"] < found["estimated"] < 1.5 * found["measured"], found
