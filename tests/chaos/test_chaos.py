"""Faults on several nodes, injected into runs of the command line.

`rewind` must keep the bits, `continue` a quorum, and no run may leave anything behind.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from fedrl_ray.chaos import campaign
from fedrl_ray.chaos import fault as faults
from fedrl_ray.chaos.campaign import Chaos, ChaosOptions, cases
from fedrl_ray.chaos.case import round_to_disturb
from fedrl_ray.chaos.observer import Observer
from fedrl_ray.cli.catalogue import catalogue
from fedrl_ray.common.errors import UserError
from tests.support.small import SMALL, merged
from tests.support.waiting import eventually

COMMAND = [sys.executable, "-m", "fedrl_ray", "chaos"]
TINY = {
    "federation": {"num_agents": 3, "steps": 3000, "backend": "ray", "agents_per_actor": 2},
    "evaluation": {"every": None, "where": "none"},
    "checkpoint": {"every": 200},
}
LEARNERS: dict[str, dict[str, Any]] = {
    "fedrq": {
        "learner": {"name": "fedrq", "omega": 0.3, "discount": 0.95, "mode": "sampled"},
        "environment": {"name": "windy_cliff", "perturb": {"wind": {"low": 0.0, "high": 1.0}}},
    },
    "fedrdqn": {},
    "fedrddpg": {
        "learner": {
            "name": "fedrddpg",
            "omega": 0.3,
            "hidden_sizes": [16, 16],
            "learning_starts": 10,
            "batch_size": 8,
            "replay_capacity": 64,
        },
        "environment": {"name": "pendulum", "perturb": {"mass": 0.5}},
    },
}


def write(folder: Path, learner: str) -> Path:
    """Write a tiny experiment of 150 rounds with a checkpoint every 10 rounds."""
    base = {key: value for key, value in SMALL.items() if key not in LEARNERS[learner]}
    path = folder / f"{learner}.yaml"
    path.write_text(yaml.safe_dump(merged(base, TINY) | LEARNERS[learner]))
    return path


def results(folder: Path, learner: str, wanted: list[tuple[str, str]], nodes: int) -> Any:
    """Return the results by fault and policy."""
    options = ChaosOptions(
        config=write(folder, learner),
        overrides=[],
        cases=wanted,
        nodes=nodes,
        output=folder / "runs",
    )
    return {(r.fault, r.policy): r for r in Chaos(options).results()}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Results of one case; tests/backends/test_ray_faults.py loses workers under both policies."""
    wanted = [("node", "rewind")]
    return results(tmp_path_factory.mktemp("chaos"), "fedrdqn", wanted, nodes=2)


@pytest.mark.slow
@pytest.mark.ray
def test_under_rewind_a_lost_node_costs_rounds_and_no_bit(quick):
    result = quick["node", "rewind"]
    assert result.broken == ()
    assert result.equal and result.missing == 0 and result.left == 0
    assert 1 <= result.redone <= 10  # back to the checkpoint before


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("learner", list(LEARNERS))
def test_every_fault_under_both_policies_keeps_its_promises(tmp_path, learner):
    found = results(tmp_path, learner, cases(None, "both"), nodes=3)
    assert {name for name, _ in found} == set(faults.names())
    assert {case: r.broken for case, r in found.items() if r.broken} == {}
    for (name, policy), result in found.items():
        assert result.left == 0
        if policy == "rewind" or not faults.load(name).loses_agents:
            assert result.equal and result.missing == 0, name
        else:
            assert result.missing > 0, name


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_every_process_that_it_started(tmp_path, number):
    command = [*COMMAND, str(write(tmp_path, "fedrdqn")), "--faults", "agent"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    while len(started := started_by(process.pid)) < 5:  # the undisturbed run, a head and its own
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    eventually(lambda: require_ended(started))  # a killed process ends a moment later


def require_ended(processes: list[psutil.Process]) -> None:
    """Assert that processes have ended; a zombie has."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, process


def started_by(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_a_fault_that_there_is_not_is_refused_with_the_ones_there_are(small_yaml):
    options = ChaosOptions(
        config=small_yaml(), overrides=[], cases=[("nod", "rewind")], nodes=3, output=None
    )
    with pytest.raises(UserError, match=r"no fault is called 'nod' \(did you mean 'node'\?\)"):
        Chaos(options)


def test_a_plain_installation_is_told_what_chaos_needs(small_yaml, monkeypatch):
    options = ChaosOptions(config=small_yaml(), overrides=[], cases=[], nodes=2, output=None)
    monkeypatch.setattr(campaign, "is_installed", lambda name: False)
    with pytest.raises(UserError, match=r"^chaos needs .*: pip install 'fedrl-ray\[cluster\]'$"):
        Chaos(options)


def test_every_fault_is_listed_with_what_it_does():
    for name in faults.names():
        (line,) = (s for s in catalogue().splitlines() if s.startswith(f"  {name} "))
        assert line.endswith(".")


def test_the_fault_comes_between_two_checkpoints_and_after_one(small):
    assert round_to_disturb(small(federation={"steps": 1200}, checkpoint={"every": 200})) == 35
    with pytest.raises(UserError, match="a checkpoint in the first half"):
        round_to_disturb(small(checkpoint={"every": None}))


def test_the_observer_counts_rounds_that_were_done_twice(tmp_path):
    seen = Observer(tmp_path)
    log, metrics = tmp_path / "log.jsonl", tmp_path / "metrics.jsonl"

    def note(**event: Any) -> None:
        with log.open("a") as file:
            file.write(json.dumps(event) + "\n")

    def rounds(*numbers: int) -> None:
        metrics.write_text(
            "".join(json.dumps({"round": n, "participants": 2}) + "\n" for n in numbers)
        )
        seen.look()

    note(event="started", workers=[{"agents": [0], "pid": 7}], round=0)
    rounds(1, 2, 3)
    seen.mark(time.monotonic())
    note(event="rewind", from_round=3, to_round=2, round=2)
    rounds(1, 2, 3)
    assert (seen.highest, seen.redone, seen.recovered) == (3, 1, None)
    rounds(1, 2, 3, 4)  # had been completed when the fault came
    assert seen.recovered is not None
    note(event="rewind", from_round=4, to_round=2, round=2)
    rounds(1, 2, 3)
    assert (seen.redone, seen.recovered) == (3, None)
    rounds(1, 2, 3, 4, 5)
    note(event="resumed", workers=[], round=2)
    rounds(1, 2, 3)
    assert (seen.highest, seen.redone, seen.recovered) == (5, 6, None)
    rounds(1, 2, 3, 4, 5, 6)
    assert seen.recovered is not None
    rounds(1, 2, 3)
    assert seen.missing(num_agents=3) == 3
