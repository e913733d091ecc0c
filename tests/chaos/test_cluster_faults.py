"""Faults on real nodes that `fedrl-ray chaos` does not try: awkward moments, refusals, endings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.chaos import leftovers
from fedrl_ray.chaos.local_cluster import LocalCluster, Node
from fedrl_ray.chaos.observer import Observer
from fedrl_ray.chaos.program import Program
from fedrl_ray.config import loading
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.ray]

PINNED = {"agents": {2: {"custom": {"robot": 1}}}}
ROBOT = {"name": "gymnasium", "factory": "broken_robot:make", "max_episode_steps": 200}
FEDERATION = {"num_agents": 3, "steps": 2000, "backend": "ray", "agents_per_actor": 2}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[LocalCluster]:
    """Two nodes, on both of which the module `broken_robot` can be imported."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "broken_robot.py").write_text(BROKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        found = LocalCluster(2, cpus=4)
    try:
        found.start()
        yield found
    finally:
        found.close()


class Job:
    """A run of the command line on the cluster."""

    def __init__(self, cluster: LocalCluster, folder: Path, changes: dict[str, Any]) -> None:
        base = {"federation": FEDERATION, "evaluation": {"where": "none"}}
        self.cluster, self.config = cluster, folder / "small.yaml"
        known = {key: value for key, value in SMALL.items() if "name" not in changes.get(key, {})}
        self.config.write_text(yaml.safe_dump(merged(merged(known, base), changes)))
        self.output, self.seen = folder / "run", Observer(folder / "run")
        arguments = [str(self.config), "--output", str(self.output), "--restartable", "--json"]
        self.program = Program(arguments, cluster.environment, folder / "run.log")

    def until(self, there: Callable[[], bool]) -> None:
        """Look at the run until a condition holds; the program must not end before."""
        while not there():
            assert self.program.status is None, self.program.output()
            self.seen.look()
            time.sleep(0.005)

    def end(self) -> tuple[int | None, list[str]]:
        """Return the program's status and its output after the end."""
        assert self.program.ends_within(200.0), self.program.output()
        self.seen.look()
        return self.program.status, self.program.output().splitlines()

    def require_nothing_left(self) -> None:
        """Assert that nothing of ours remains on the cluster; Ray ends processes late."""
        assert not any(leftovers.take(self.cluster.environment).values())
        eventually(self._require_no_processes, within=leftovers.PATIENCE_SECONDS)

    def _require_no_processes(self) -> None:
        for title in (leftovers.AGENTS, leftovers.DRIVER):
            assert self.cluster.processes(title) == []

    def digests(self) -> tuple[str, str]:
        return digests(json.loads((self.output / "summary.json").read_text()))

    def undisturbed(self) -> tuple[str, str]:
        experiment = loading.load(self.config, ["federation.backend=in_process"])
        return digests(train(experiment, self.output.with_name("undisturbed")))


@pytest.fixture
def job(cluster, tmp_path) -> Iterator[Callable[..., Job]]:
    """Start a run with changes to the small experiment; end it afterwards."""
    jobs: list[Job] = []

    def build(**changes: Any) -> Job:
        cluster.start()
        jobs.append(Job(cluster, tmp_path, changes))
        jobs[-1].program.start()
        return jobs[-1]

    yield build
    for started in jobs:
        started.program.kill()


@pytest.fixture
def robot(cluster) -> Iterator[Node]:
    """A node with the robot that agent 2 needs and no other node has."""
    cluster.start()
    node = cluster.add('--resources={"robot": 1}')
    yield node
    if node in cluster.nodes:
        cluster.kill(node)


def test_the_quorum_does_not_wait_for_an_agent_that_can_live_nowhere(job, cluster, robot):
    run = job(resources=PINNED, federation={"on_failure": "continue"})
    run.until(lambda: run.seen.highest >= 10)
    cluster.kill(robot)
    status, words = run.end()
    assert status == 0, words
    assert run.seen.missing(num_agents=3) > 0 and run.seen.events["rebuilt"] == 0
    run.require_nothing_left()


def test_fewer_than_min_agents_stop_the_run_with_one_line(job, cluster, robot):
    federation = {"on_failure": "continue", "min_agents": 3, "start_timeout": 5.0}
    run = job(resources=PINNED, federation=federation)
    run.until(lambda: run.seen.highest >= 10)
    cluster.kill(robot)
    status, words = run.end()
    assert status == 1
    assert words[-1].startswith("error: 2 agents are left, federation.min_agents is 3")
    run.require_nothing_left()


def test_a_node_that_dies_while_a_checkpoint_is_written_changes_no_bit(job, cluster):
    run = job(checkpoint={"every": 20})
    partial = run.output / "checkpoints"
    run.until(lambda: run.seen.highest >= 10 and any(partial.glob(".round_*.partial")))
    cluster.kill(cluster.nodes[-1])
    status, words = run.end()
    assert status == 0, words
    assert run.digests() == run.undisturbed()


def test_an_agent_and_the_driver_that_die_together_change_no_bit(job, cluster):
    run = job()
    run.until(lambda: run.seen.highest >= 10)
    for pid in [run.seen.workers[0]["pid"], *cluster.processes(leftovers.DRIVER)]:
        os.kill(pid, signal.SIGKILL)
    status, words = run.end()
    assert status == 0 and run.seen.events["driver_died"] == 1, words
    assert run.digests() == run.undisturbed()
    run.require_nothing_left()


def test_ctrl_c_leaves_a_checkpoint_and_nothing_on_the_cluster(job):
    run = job()
    run.until(lambda: run.seen.highest >= 10)
    os.kill(run.program.pid, signal.SIGINT)
    status, words = run.end()
    assert status == 130, words
    assert json.loads((run.output / "summary.json").read_text())["status"] == "interrupted"
    run.require_nothing_left()


def test_an_exception_in_user_code_ends_the_run_once_and_leaves_nothing(job):
    run = job(environment=ROBOT)
    status, words = run.end()
    assert status == 1
    assert sum("ValueError: sensor 7 gives no reading" in line for line in words) == 1
    assert run.seen.events["worker_lost"] <= 2 and run.seen.events["rewind"] == 0  # two workers
    run.require_nothing_left()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a node a mount of its own")
def test_an_output_that_a_node_does_not_see_is_refused(cluster, tmp_path):
    cluster.start()
    hide = f'mount -t tmpfs tmpfs "{tmp_path}" && exec "$@"'
    node = cluster.add(wrapper=["unshare", "--mount", "sh", "-c", hide, "sh"])
    try:
        config = tmp_path / "small.yaml"
        config.write_text(yaml.safe_dump(merged(SMALL, {"federation": FEDERATION})))
        command = [sys.executable, "-m", "fedrl_ray", "train", str(config)]
        command += ["--output", str(tmp_path / "run")]
        done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True)
    finally:
        cluster.kill(node)
    assert done.returncode == 2
    assert "1 of 3 nodes do not see this folder" in done.stderr and "NFS" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


BROKEN = """
import gymnasium

class Broken(gymnasium.Wrapper):
    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps > 100:
            raise ValueError("sensor 7 gives no reading")
        return super().step(action)

def make(**parameters):
    return Broken(gymnasium.make("CartPole-v1"))
"""
