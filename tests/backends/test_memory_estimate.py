"""The memory of a run is estimated before it starts, recorded, and refused if there is less.

Estimates follow the run here; docs/memory.md has how far they lie from measured values.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from algorithms.learners.fedrdqn import FedRDQN
from fedrl_ray.agents.evaluation import initial_shared
from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder
from fedrl_ray.backends import memory_estimate, placement, plan
from fedrl_ray.common.errors import UserError
from fedrl_ray.config.build import build_family
from fedrl_ray.config.loading import from_dict
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.run import Run

CHEETAH = {"environment": {"name": "half_cheetah"}, "learner": {"name": "fedrddpg"}}
TABLES = {"environment": {"name": "windy_cliff"}, "learner": {"name": "fedrq"}}


def test_every_agent_adds_its_own_and_every_actor_a_process(small: Any) -> None:
    few, many = (
        memory_estimate.estimate(small(federation={"num_agents": k}), 2) for k in (10, 1000)
    )
    assert many.agents == 100 * few.agents
    process = memory_estimate.ACTOR + FedRDQN.bytes_per_process(FedRDQN.Config())
    assert many.actors == few.actors == 2 * process
    assert (
        memory_estimate.estimate(small(), 0).actors
        == memory_estimate.estimate(small(), 0).object_store
        == 0
    )


def test_a_replay_of_the_paper_is_seventeen_megabytes_and_a_checkpoint_copies_it() -> None:
    federations = ({"num_agents": 1, "steps": steps} for steps in (1_000_000, 2000))
    cheetahs = [from_dict(CHEETAH | {"federation": f}) for f in federations]
    long, short = (memory_estimate.estimate(cheetah, 1).agents for cheetah in cheetahs)
    assert long - short == pytest.approx(0.98 * 16.8e6, rel=0.001)
    assert long == pytest.approx(2 * 16.8e6 + 24.7e6, rel=0.05)


def test_a_larger_minibatch_takes_what_layers_make_of_it() -> None:
    keys = {"name": "fedrdqn", "hidden_sizes": [128, 128]}
    sizes = []
    for batch in (16, 10_016):
        learner = keys | {"batch_size": batch}
        federation = {"num_agents": 1, "steps": 1000}
        cartpole = {"federation": federation, "environment": {"name": "cartpole"}}
        sizes.append(memory_estimate.estimate(from_dict(cartpole | {"learner": learner}), 1).agents)
    one_row = 3 * (4 + 4 * 128) + 2 + 2 + 1  # Q, its target and D: into each layer, and out
    assert sizes[1] - sizes[0] == 4 * 10_000 * one_row


def test_a_checkpoint_is_no_larger_than_said(small: Any, tmp_path: Path) -> None:
    experiment = small()
    agents = LocalAgents(experiment.to_dict(), range(5))
    shared = initial_shared(experiment, build_family(experiment))
    for number in range(4):
        agents.run_round(RoundOrder.to(range(5), shared, clock=20 * number, round=number))
    written = agents.save(str(tmp_path)).bytes
    assert 0.5 * written < 5 * memory_estimate.state_bytes(experiment) - 5 * 2**14 < 1.2 * written


def test_what_is_not_there_is_refused_in_one_line(small: Any) -> None:
    with pytest.raises(UserError, match=r"not enough memory: about .* GiB .*: agents .*lower"):
        plan.require_memory(small(federation={"num_agents": 10**9}), actors=2)
    plan.require_memory(small(), actors=2, free=2**31)


@pytest.mark.parametrize("version", [0, 1])
def test_a_containers_limit_is_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    limit, used = memory_estimate.CGROUP_FILES[version]
    monkeypatch.setattr(memory_estimate, "CGROUP", tmp_path)
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / limit).write_text("1000000\n")
    (tmp_path / used).write_text("400000\n")
    assert memory_estimate.available() == 600_000
    (tmp_path / limit).write_text("max\n")
    assert memory_estimate.available() > 600_000


@pytest.mark.parametrize(
    ("changes", "backend"),
    [
        ({}, "ray"),
        ({"federation": {"num_agents": 1}}, "in_process"),
        ({"federation": {"agents_per_actor": 5}}, "in_process"),
        ({"federation": {"agents_per_actor": 4}}, "ray"),
        ({"federation": {"num_agents": 1}, "resources": {"gpu": 1}}, "ray"),
        ({"federation": {"backend": "in_process"}}, "in_process"),
    ],
)
def test_auto_is_this_process_where_one_actor_would_hold_all(
    small: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], backend: str
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    changes = changes | {"federation": {"backend": "auto"} | changes.get("federation", {})}
    assert plan.backend_of(small(**changes)) == backend


def test_auto_is_this_process_for_tables_unless_a_cluster_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tabular = from_dict(TABLES | {"federation": {"num_agents": 100}})
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert plan.backend_of(tabular) == "in_process"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert plan.backend_of(tabular) == "ray"


def test_where_agents_are_and_what_they_need_is_recorded(small: Any, tmp_path: Path) -> None:
    experiment = small(federation={"steps": 20}, learner={"learning_starts": 1})
    run = Run(experiment, tmp_path / "run")
    run.advance()
    summary = run.finish()
    run.close()
    started = json.loads((tmp_path / "run" / LOG).read_text().splitlines()[0])
    assert started["backend"] == summary["backend"] == "in_process"
    assert started["memory"] == memory_estimate.estimate(experiment, 0)._asdict()
    assert sum(started["memory"].values()) == run.memory.total


def test_a_rule_that_sees_every_row_counts_them_in_the_driver(small: Any) -> None:
    mean = memory_estimate.estimate(small(), 0)
    rows = memory_estimate.estimate(small(aggregator={"name": "trimmed_mean"}), 0)
    shared = initial_shared(small(), build_family(small()))
    assert rows.driver - mean.driver == 3 * 5 * sum(x.nbytes for x in shared.values())
    assert rows.agents == mean.agents


def test_packing_in_words() -> None:
    assert placement.packing_words([500, 500], "ray") == "1,000 agents in 2 Ray actors of 500"
    assert placement.packing_words([2, 1], "ray") == "3 agents in 2 Ray actors of 1-2"
    assert placement.packing_words([1], "in_process") == "1 agent in this process"


def test_three_agents_on_two_cpus_and_a_thousand_fill_the_machine(small: Any) -> None:
    for num_agents, sizes in ((3, [2, 1]), (1000, [500, 500])):
        experiment = small(federation={"num_agents": num_agents})
        groups, requests = plan.pack(experiment, [{"CPU": 2.0}])
        assert [len(group) for group in groups] == sizes
        assert requests == [{"CPU": 1.0}] * 2
