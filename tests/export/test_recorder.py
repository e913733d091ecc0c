"""Environments that draw themselves give the bits of a row, and pictures that a recorder takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from algorithms.types import Array
from fedrl_ray.common.errors import UserError
from fedrl_ray.config import plugins
from fedrl_ray.export import recorder
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.family import EnvFamily
from tests.support.user_envs import DRAWN_SPRING
from tests.support.vector_envs import family_of, varied

for package in recorder.PACKAGES:
    pytest.importorskip(package, reason=f"{package} is not installed")

NAMES = plugins.names("environments")
SILENT = {"random_mdp", "windy_cliff"}
"""Families that draw no pictures; every other one in the folder must."""
EPISODES = 2


@pytest.fixture(autouse=True)
def _screenless() -> Iterator[None]:
    """Set the variables of drawing libraries for this test only."""
    before = dict(os.environ)
    recorder.prepare()
    yield
    os.environ.clear()
    os.environ.update(before)


def some_policy(family: EnvFamily) -> Any:
    """Return a policy that depends on the observations alone, all of them."""

    def act(obs: Array) -> Array:
        weights = np.cos(np.arange(obs[0].size) + 1.0)
        score = (obs.reshape(len(obs), -1) * weights).sum(-1)
        if family.spec.kind == "continuous":
            low, high = np.array(family.spec.action_low), np.array(family.spec.action_high)
            share = 0.5 + 0.5 * np.sin(score[:, None] + np.arange(len(low)))
            return (low + share * (high - low)).astype(np.float32)
        return (np.abs(score * 7) % family.spec.num_actions).astype(np.int64)

    return act


def drawable(name: str) -> EnvFamily:
    if name == "gymnasium":
        cls = plugins.load("environments", name)
        family: EnvFamily = cls(
            cls.Config(**{k: v for k, v in DRAWN_SPRING.items() if k != "name"})
        )
        return family
    return family_of(name, 60)


@pytest.mark.parametrize("name", sorted(set(NAMES) - SILENT))
def test_an_episode_is_repeated_bit_for_bit(name: str) -> None:
    family = drawable(name)
    ends = varied(name, 3)
    seeds = EpisodeSeeds.of_grid(7, [0, 1, 2], EPISODES)
    rows = family.make({n: np.repeat(x, EPISODES) for n, x in ends.items()}, seeds, retire=True)
    policy, taken = some_policy(family), []
    while rows.alive.any():
        taken.append(policy(rows.obs))
        rows.step(taken[-1])
    for row in range(len(seeds)):
        at = row // EPISODES
        env = family.render_env({n: x[at : at + 1] for n, x in ends.items()})
        env.reset(seed=seeds.seed(row, row % EPISODES))
        total, over = np.float64(0), False
        for action in (step[row] for step in taken):
            _, reward, terminated, truncated, _ = env.step(action)
            total, over = total + np.float64(reward), terminated or truncated
            if over:
                break
        env.close()  # type: ignore[no-untyped-call]
        assert total == rows.returns[row, 0]


@pytest.mark.parametrize("name", sorted(set(NAMES) - SILENT))
def test_a_picture_shows_the_parameters_and_the_state(name: str) -> None:
    if "MUJOCO_GL" not in os.environ and hasattr(family_of(name), "robot"):
        pytest.skip("no EGL: MuJoCo cannot draw")
    family, ends = drawable(name), varied(name, 2)
    env = recorder.Pictures(family.render_env({n: x[1:] for n, x in ends.items()}))
    env.reset(seed=1)
    first = env.render()
    assert first.dtype == np.uint8 and first.shape[2] == 3 and not any(np.mod(first.shape[:2], 2))
    for action in [some_policy(family)(np.ones((1, *np.shape(env.reset(seed=1)[0]))))[0]] * 15:
        env.step(action)
    assert not np.array_equal(first, env.render()) or name == "frozen_lake"
    env.close()


@pytest.mark.parametrize("name", sorted(SILENT))
def test_a_family_without_pictures_is_one_line(name: str) -> None:
    with pytest.raises(UserError, match=rf"^environment.name: {name} draws no pictures") as caught:
        family_of(name).render_env(family_of(name).nominal())
    assert "\n" not in str(caught.value)


def test_a_long_episode_takes_limited_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    family = drawable("gymnasium")
    env = recorder.Pictures(family.render_env(family.nominal()))
    env.reset(seed=0)
    size = env.render().nbytes
    monkeypatch.setattr(recorder, "MOST_BYTES", 64 * size)
    held = {id(picture): picture for picture in (env.render() for _ in range(5000))}
    assert 32 < len(held) <= 80


@pytest.mark.parametrize("missing", recorder.PACKAGES)
def test_a_missing_package_is_one_line(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorder.is_installed
    monkeypatch.setattr(recorder, "is_installed", lambda name: name != missing and found(name))
    with pytest.raises(UserError, match=rf"video needs {missing}; run `pip install 'fedrl-ray\[vi"):
        recorder.prepare()
