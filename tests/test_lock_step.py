"""Agents of a process advance in blocks that fit into a cache: no bit depends on their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from algorithms.learners.fedrdqn import FedRDQN
from algorithms.types import Spec
from fedrl_ray import lock_step
from fedrl_ray.digests import of_arrays as digests_of
from fedrl_ray.driver import Driver
from fedrl_ray.local_agents import LocalAgents
from fedrl_ray.lock_step import Blocks, LockStep, cache_share, in_blocks
from fedrl_ray.messages import RoundOrder
from fedrl_ray.run_directory import METRICS, read_rows

from .runs import digests, train

ONE_HOST = {"num_agents": 7, "agents_per_actor": 7, "steps": 120, "sync_interval": 20}
SPEC = Spec(obs_size=4, num_actions=2, max_episode_steps=500)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how much of it there is."""

    def have(size: int) -> None:
        monkeypatch.setattr(lock_step, "cache_share", lambda: size)
        monkeypatch.setattr(lock_step, "LEAST_CACHE", 100)

    return have


def sizes(num_agents: int, bytes_per_agent: int | None) -> list[int]:
    found: list[int] = []

    def build(agent_ids: Any) -> LockStep:
        found.append(len(agent_ids))
        return LockStep(None, None)

    in_blocks(build, range(num_agents), bytes_per_agent)
    return found


def test_blocks_are_what_the_cache_holds_and_of_equal_size(cache: Any) -> None:
    cache(1000)
    assert sizes(7, 200) == [4, 3]
    assert sizes(5, 200) == [5] and sizes(50, 20) == [50]
    assert sizes(3, 2000) == [1, 1, 1]
    assert sizes(7, None) == [7]
    cache(99)
    assert sizes(7, 200) == [7]


@pytest.mark.parametrize("agents", [1, 2, 3])
def test_no_size_of_the_blocks_changes_a_bit(
    small: Any, tmp_path: Path, cache: Any, agents: int
) -> None:
    experiment = small(federation=ONE_HOST, checkpoint={"every": 2})
    touched = FedRDQN.bytes_per_step(experiment.learner.settings, SPEC)
    assert touched
    seen = []
    for size in (0, touched * agents):
        cache(size)
        hosted = LocalAgents(experiment.to_dict(), range(7))._agents
        assert isinstance(hosted, Blocks if size else LockStep)
        run = tmp_path / str(size)
        summary = train(experiment, run)
        seen.append((digests(summary), [row["agents"] for row in read_rows(run / METRICS)]))
    assert seen[0] == seen[1]


def test_agents_saved_in_blocks_go_on_together(small: Any, tmp_path: Path, cache: Any) -> None:
    experiment = small(federation=ONE_HOST)
    cache(0)
    together, again = (LocalAgents(experiment.to_dict(), range(7)) for _ in range(2))
    cache(100)
    blocks = LocalAgents(experiment.to_dict(), range(7))
    order = RoundOrder(round=0, attempt=0, shared=Driver(experiment).server.shared)
    blocks.run_round(order)
    shard = blocks.save(str(tmp_path))
    again.load(str(tmp_path), dict.fromkeys(range(7), shard.file))
    together.run_round(order)
    for row in range(7):
        mine, theirs = (x._agents.agent_state(row) for x in (together, again))
        assert digests_of(mine) == digests_of(theirs)


def test_bytes_of_a_step_are_those_of_networks_gradients_and_moments() -> None:
    config = FedRDQN.Config(hidden_sizes=(128, 128), omega=0.3)
    one_network = 4 * (8 * 128 + 128 * 128 + 128 * 8 + 2 * 128 + 64)
    assert FedRDQN.bytes_per_step(config, SPEC) == (4 * 2 + 1) * one_network
    on_gpu = config.model_copy(update={"device": "cuda"})
    assert FedRDQN.bytes_per_step(on_gpu, SPEC) is None


def test_this_processor_tells_its_cache_or_has_none(tmp_path: Path, monkeypatch: Any) -> None:
    assert cache_share() == 0 or cache_share() > 2**15
    monkeypatch.setattr(lock_step, "CACHES", tmp_path)
    assert cache_share() == 0
    for index, (level, size, sharing) in enumerate(
        [("1", "48K", "1"), ("3", "32768K", "00000000,0000000f"), ("2", "1024K", "1")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("size", size), ("shared_cpu_map", sharing)):
            (folder / name).write_text(text + "\n")
    assert cache_share() == 8 * 2**20
