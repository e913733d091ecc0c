"""Every name of RLlib that we rely on exists and behaves as we expect.

The test reads the names from our sources. A new import needs a line in tests/support/rllib_uses.py,
and an unused line fails too. If a release of Ray moves or renames one of them, a test names it
before a run fails.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import ray
from packaging.requirements import Requirement
from packaging.version import Version
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn import DQNConfig
from ray.rllib.algorithms.ppo.ppo import PPOConfig

from fedrl_ray.ray_cluster.tokens import OLDEST_RAY
from tests.support.rllib_learners import BOX, DISCRETE, build, dqn, sac
from tests.support.rllib_uses import USES, has, takes

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for folder in ("fedrl_ray", "benchmarks") for p in (ROOT / folder).rglob("*.py"))
WATCHED = ("ray.rllib", "ray.tune.registry")


def imported(source: str) -> Iterator[str]:
    """Yield the full names that a source file imports from RLlib, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith(WATCHED))


RELIED_ON = {name for path in SOURCES for name in imported(path.read_text(encoding="utf-8"))}


def found(name: str) -> Any:
    """Return the object of a full name."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        return importlib.import_module(name)


def test_names_are_found_at_any_depth() -> None:
    source = (
        "import ray.rllib.a\nfrom ray.rllib.b import c\ndef f():\n    from ray.rllib.d import e\n"
    )
    assert list(imported(source)) == ["ray.rllib.a", "ray.rllib.b.c", "ray.rllib.d.e"]


def test_every_name_that_we_import_is_used_here() -> None:
    assert sorted(RELIED_ON - USES.keys()) == [], "add to USES what we expect of these names"
    assert sorted(USES.keys() - RELIED_ON) == [], "nobody imports these names any more"


def heirs() -> Iterator[type]:
    """Yield our classes that extend a class of RLlib."""
    for path in SOURCES:
        if path.is_relative_to(ROOT / "fedrl_ray") and any(imported(path.read_text("utf-8"))):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            classes = (c for _, c in inspect.getmembers(module, inspect.isclass))
            yield from (c for c in classes if c.__module__ == name and any(rllib_bases(c)))


def rllib_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__[1:] if base.__module__.startswith("ray.rllib")]


OVERRIDES = [
    (cls, name)
    for cls in heirs()
    for name, method in vars(cls).items()
    if inspect.isfunction(method)
]


def test_our_learners_and_modules_are_among_the_heirs() -> None:
    names = {cls.__name__ for cls in heirs()}
    assert {"RobustDQNLearner", "RobustDQNModule", "RobustSACLearner", "RobustSACModule"} <= names


@pytest.mark.parametrize(("cls", "name"), OVERRIDES, ids=lambda x: getattr(x, "__name__", x))
def test_what_we_override_is_still_called_as_we_define_it(cls: type, name: str) -> None:
    hooks = [vars(base)[name] for base in rllib_bases(cls) if name in vars(base)]
    assert hooks, f"RLlib has no {name}: our {cls.__name__}.{name} would never be called"
    given = inspect.signature(hooks[0]).parameters.values()
    named = [p.name for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert takes(getattr(cls, name), *named)


LEARNERS: dict[str, tuple[AlgorithmConfig, gym.Space[Any]]] = {
    "last_update_ts_by_mid": (dqn(), DISCRETE),
    "curr_log_alpha": (sac(), BOX),
    "_temp_losses": (sac(), BOX),
    "curr_kl_coeffs_per_module": (PPOConfig(), DISCRETE),
    "entropy_coeff_schedulers_per_module": (PPOConfig(), DISCRETE),
}
"""Attributes of a learner that we read or set, and that no signature shows."""


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_keeps_what_we_reach_for(name: str) -> None:
    assert hasattr(build(*LEARNERS[name]), name)


def test_an_algorithm_keeps_what_we_set_from_outside(local_ray: None) -> None:
    """Setting a missing attribute would raise nothing and change nothing."""
    config = DQNConfig().environment("CartPole-v1").env_runners(num_env_runners=0)
    algorithm: Any = config.build_algo()
    runner, buffer = algorithm.env_runner, algorithm.local_replay_buffer
    assert has(algorithm, "_iteration", "training_iteration", "learner_group", "metrics", "logdir")
    assert has(runner, "_ongoing_episodes", "_cached_to_module", "_shared_data", "env", "module")
    assert has(runner, "_needs_initial_reset")
    assert has(buffer, "rng", "episodes", "episode_id_to_index", "get_state", "set_state")
    algorithm.stop()


def test_the_ray_at_work_is_in_the_tested_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    ranges = [r.specifier for r in map(Requirement, lines) if r.name == "ray"]
    assert len(ranges) == 2 and ranges[0] == ranges[1]
    assert ranges[0].contains(ray.__version__)
    minor = Version(ray.__version__).minor
    assert not any(ranges[0].contains(f"2.{other}.0") for other in (minor - 1, minor + 1))
    assert Version(ray.__version__) > Version(OLDEST_RAY)


@pytest.mark.parametrize("name", sorted(USES))
def test_the_name_is_what_we_take_it_for(name: str) -> None:
    assert USES[name](found(name)), f"{name} is not what it was"
