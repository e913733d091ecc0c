"""Agents of a process advance in blocks that fit into a cache: no bit depends on their size."""

from __future__ import annotations

from fedrl_ray import agent_blocks
from fedrl_ray.agent_blocks import AgentBlocks, block_size
from fedrl_ray.experiments import from_dict
from fedrl_ray.run_directory import METRICS, read_rows

from .runs import digests, train

ONE_HOST = {"num_agents": 7, "agents_per_actor": 7, "steps": 120, "sync_interval": 20}


def sizes(experiment) -> list[int]:
    agents = AgentBlocks(experiment.to_dict(), range(experiment.federation.num_agents))
    found = [len(block.agent_ids) for block in agents._blocks]
    agents.close()
    return found


def test_no_size_of_the_blocks_changes_a_bit(small, tmp_path, monkeypatch):
    experiment = small(federation=ONE_HOST)
    monkeypatch.setattr(agent_blocks, "CACHE_BYTES", 1)
    seen = []
    for least, expected in ((7, [7]), (4, [4, 3]), (2, [2, 2, 2, 1])):
        monkeypatch.setattr(agent_blocks, "LEAST_AGENTS", least)
        assert sizes(experiment) == expected
        run = tmp_path / str(least)
        summary = train(experiment, run)
        seen.append((digests(summary), [row["agents"] for row in read_rows(run / METRICS)]))
    assert seen[0] == seen[1] == seen[2]


def test_a_block_is_what_the_cache_holds(small):
    assert 10 < block_size(small(learner={"hidden_sizes": [128, 128]}), 500) < 30
    assert block_size(small(learner={"hidden_sizes": [400, 400]}), 500) == agent_blocks.LEAST_AGENTS


def test_tables_are_never_split():
    tabular = from_dict(
        {"learner": {"name": "fedrq"}, "environment": {"name": "random_mdp"}, "federation": {}}
    )
    assert block_size(tabular, 500) == 500
