"""Resources that agents request: packing by need, pinning, and refusals before a run starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fedrl_ray.backends.placement import actor_cpus, groups
from fedrl_ray.backends.plan import make_plan, pack
from fedrl_ray.common.errors import UserError
from fedrl_ray.ray_cluster import autoscaler
from fedrl_ray.ray_cluster.resources import (
    ResourcesConfig,
    bundle,
    options,
    require_capacity,
    together,
)
from fedrl_ray.sweeps.settings import TrialSettings, require_room, resources


def test_an_actor_asks_for_one_cpu_and_gpu_and_for_what_each_agent_has_for_itself():
    needs = ResourcesConfig(gpu=0.5, memory="2GiB", custom={"licence": 1})
    assert bundle(needs, [0, 1, 2], 0.4) == {
        "CPU": 0.4, "GPU": 0.5, "memory": 3 * 2 * 2**30, "licence": 3,
    }  # fmt: skip
    assert bundle(ResourcesConfig(cpu=2), [0], 0.4) == {"CPU": 2}


def test_a_single_agent_names_only_what_differs():
    needs = ResourcesConfig(cpu=1, memory=100, agents={3: {"custom": {"robot": 1}, "cpu": 0}})
    assert bundle(needs, [3], 0.4) == {"CPU": 0, "memory": 100, "robot": 1}
    assert bundle(needs, [2], 0.4) == {"CPU": 1, "memory": 100}


def test_a_bundle_as_options_of_an_actor():
    request = {"CPU": 0.5, "GPU": 1.0, "memory": 100.0, "robot": 1.0}
    assert options(request) == {
        "num_cpus": 0.5, "num_gpus": 1.0, "memory": 100.0, "resources": {"robot": 1.0},
    }  # fmt: skip


def test_all_agents_in_one_process_share_its_cpu_and_gpu():
    needs = ResourcesConfig(gpu=0.5, memory=100, agents={1: {"gpu": 1, "custom": {"robot": 2}}})
    expected = {"CPU": 1, "GPU": 1, "memory": 300, "robot": 2}
    assert together(needs, range(3)) == expected


@pytest.mark.parametrize("agents_per_actor", [1, 2, "auto"])
def test_agents_of_different_needs_never_share_an_actor(small, agents_per_actor):
    resources = {"agents": {2: {"custom": {"robot": 1}}}}
    federation = {"agents_per_actor": agents_per_actor}
    packed, requests = pack(small(resources=resources, federation=federation), [{"CPU": 3.0}])
    assert [a for group in packed for a in group] == [0, 1, 2, 3, 4]
    assert (2,) in packed
    assert [("robot" in r) for r in requests] == [group == (2,) for group in packed]


def test_agents_of_equal_needs_are_packed_as_ever():
    assert groups(5, "auto", 2, ["a"] * 5) == groups(5, "auto", 2) == [(0, 1, 2), (3, 4)]


def test_what_no_node_has_is_refused():
    nodes = [{"CPU": 4.0, "memory": 2.0**33}, {"CPU": 2.0, "GPU": 1.0}]
    require_capacity([(0,), (1,)], [{"CPU": 1, "GPU": 0.5}] * 2, nodes)
    with pytest.raises(UserError, match=r"agents 0-1 asks for CPU 5, which no node .* has"):
        require_capacity([(0, 1)], [{"CPU": 5}], nodes)
    with pytest.raises(UserError, match="3 actors ask for CPU 9 in all, but the cluster has CPU 6"):
        require_capacity([(0,), (1,), (2,)], [{"CPU": 3}] * 3, nodes)


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpu": -1}, "resources.gpu: must be greater than or equal to 0; got -1"),
        ({"memory": "2 cows"}, "resources.memory: must be a number of bytes"),
        ({"custom": {"CPU": 1}}, "must hold custom resources only; 'CPU' does not name one"),
        ({"agents": {5: {"gpu": 1}}}, "must name agents by their ids, 0 to 4; got '5'"),
        ({"agents": {0: {"gpus": 1}}}, "resources.agents.0.gpus: unknown key"),
    ],
)
def test_needs_that_make_no_sense(small, resources, words):
    with pytest.raises(UserError) as told:
        small(resources=resources)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("cpus", "actors", "share"),
    [([4], 5, 0.8), ([2, 2, 2], 10, 0.5), ([1, 1, 1], 3, 1.0), ([3, 1], 5, 0.75)],
)
def test_shares_of_cpus_do_not_lie_across_nodes(cpus, actors, share):
    assert actor_cpus(actors, [{"CPU": float(c)} for c in cpus]) == share


def test_actors_fit_node_by_node(small):
    nodes = [{"CPU": 3.0}, {"CPU": 3.0}]
    packed, requests = pack(small(resources={"cpu": 2}), nodes)
    assert requests == [{"CPU": 2.0}] * 2
    require_capacity(packed, requests, nodes)
    with pytest.raises(UserError, match="but not node by node"):
        require_capacity([(0,), (1,), (2,)], [{"CPU": 2.0}] * 3, nodes)


def test_a_trial_packs_as_the_sweep_planned_it(small, tmp_path):
    """It does so inside its placement group too, whose bundles are no nodes."""
    agents = {str(a): {"custom": {"robot": 1}} for a in range(4)}
    experiment = small(
        resources={"agents": agents}, federation={"num_agents": 7, "backend": "ray"},
        sweep={"search": {"learner.omega": [0.0, 0.3]}, "backend": "ray"},
    )  # fmt: skip
    nodes = [{"CPU": 5.0, "robot": 4.0}]
    settings = TrialSettings(
        directory=tmp_path, base=experiment.to_dict(), sweep=experiment.sweep, backend="ray",
        nodes=nodes,
    )  # fmt: skip
    config = {"trial": {"point": {"learner.omega": 0.3}, "seed": 0}}
    require_room(settings, [config])
    held = resources(settings, config).bundles
    assert held == pack(experiment, nodes)[1]
    with pytest.raises(UserError, match="which no node of the cluster has"):
        require_room(replace(settings, nodes=[{"CPU": 5.0}]), [config])


def test_a_trial_that_asks_for_no_cpu_is_held_a_place(small, tmp_path):
    experiment = small(resources={"cpu": 0}, sweep={"search": {"learner.omega": [0.0, 0.3]}})
    for backend in ("ray", "in_process"):
        settings = TrialSettings(
            directory=tmp_path, base=experiment.to_dict(), sweep=experiment.sweep, backend=backend,
            nodes=[{"CPU": 2.0}],
        )  # fmt: skip
        assert resources(settings, {"trial": {"point": {}, "seed": 0}}).bundles


def test_nodes_that_an_autoscaler_may_add(monkeypatch, tmp_path):
    monkeypatch.setattr(autoscaler, "LAUNCHER", tmp_path / "none.yaml")
    monkeypatch.delenv(autoscaler.NODES, raising=False)
    assert autoscaler.addable_nodes() == []
    config = {
        "max_workers": 3, "head_node_type": "head",
        "available_node_types": {"head": {"resources": {"CPU": 0}},
                                 "worker": {"resources": {"CPU": 4}, "max_workers": 8}},
    }  # fmt: skip
    (tmp_path / "cluster.yaml").write_text(json.dumps(config))
    monkeypatch.setattr(autoscaler, "LAUNCHER", tmp_path / "cluster.yaml")
    assert autoscaler.addable_nodes() == [{"CPU": 4.0}] * 3
    monkeypatch.setenv(autoscaler.NODES, '[{"count": 2, "CPU": 8, "GPU": 1}]')
    assert autoscaler.addable_nodes() == [{"CPU": 8.0, "GPU": 1.0}] * 2
    monkeypatch.setenv(autoscaler.NODES, "8 nodes")
    with pytest.raises(UserError, match="FEDRL_AUTOSCALER_NODES: must have the form"):
        autoscaler.addable_nodes()


@pytest.mark.ray
def test_nodes_that_an_autoscaler_may_add_count(local_ray, small, monkeypatch):
    custom, on_ray = {"custom": {"robot": 1}}, {"backend": "ray"}
    needs = small(resources=custom, federation=on_ray | {"num_agents": 3})
    with pytest.raises(UserError, match="which no node of the cluster has"):
        make_plan(needs)
    monkeypatch.setenv(autoscaler.NODES, '[{"count": 3, "CPU": 2, "robot": 1}]')
    assert make_plan(needs).bundles == ({"CPU": 1.0, "robot": 1.0},) * 3
    with pytest.raises(UserError, match=r"4 actors ask for robot 4 in all, .* has robot 3"):
        make_plan(small(resources=custom, federation=on_ray | {"num_agents": 4}))


@pytest.fixture(scope="module")
def two_nodes(local_ray: None) -> Iterator[dict[str, str]]:
    """Variables of a program that joins a cluster of two nodes, one of which has a robot."""
    from ray.cluster_utils import Cluster
    from ray.experimental import internal_kv

    ours = internal_kv.internal_kv_get_gcs_client()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes.add_node(num_cpus=1, resources={"robot": 1})
    yield os.environ | {"RAY_ADDRESS": nodes.address, "FEDRL_ALLOW_OPEN_CLUSTER": "1"}
    nodes.shutdown()
    internal_kv._initialize_internal_kv(ours)  # a Cluster takes it over from the session's Ray


def run(environment: dict[str, str], *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedrl_ray", "train", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_agent_works_on_the_node_that_has_its_robot(two_nodes, small_yaml, tmp_path):
    path = small_yaml(
        federation={"backend": "ray", "steps": 40, "num_agents": 2},
        resources={"agents": {1: {"custom": {"robot": 1}}}},
        evaluation={"every": None, "where": "none"},
    )
    result = run(two_nodes, path, "--output", tmp_path / "run", "--json")
    assert result.returncode == 0, result.stderr
    events = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    started = next(e for e in map(json.loads, events) if e["event"] == "started")
    nodes = {tuple(one["agents"]): one["node"] for one in started["workers"]}
    assert (1,) in nodes
    assert started["workers"] and len(set(nodes.values())) == 2
    assert not list(tmp_path.glob(".fedrl-ray-*"))  # what was looked for on every node is gone


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpu": 1}, "the actor of agents 0-1 asks for CPU 1, GPU 1, which no node"),
        ({"custom": {"robot": 1}}, "asks for CPU 1, robot 2, which no node"),
        ({"agents": {0: {"custom": {"robot": 2}}}}, "agent 0 asks for CPU 1, robot 2"),
    ],
)
def test_what_no_node_of_the_two_has_is_refused(small, resources, words):
    nodes = [{"CPU": 2.0}, {"CPU": 1.0, "robot": 1.0}]
    packed, requests = pack(small(resources=resources), nodes)
    with pytest.raises(UserError) as told:
        require_capacity(packed, requests, nodes)
    assert words in str(told.value) and "\n" not in str(told.value)


def test_a_refusal_is_one_line_in_seconds(two_nodes, small_yaml, tmp_path):
    path = small_yaml(federation={"backend": "ray"}, resources={"custom": {"robot": 1}})
    begun = time.monotonic()
    result = run(two_nodes, path, "--output", tmp_path / "run")
    assert result.returncode == 2
    assert "asks for CPU 1, robot 2, which no node" in result.stderr
    assert result.stderr.count("\n") == 1 and not (tmp_path / "run").exists()
    assert time.monotonic() - begun < 60  # ten on a machine that is not busy
