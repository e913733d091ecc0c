"""Long suites: jobs on clusters of several nodes, and on open clusters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from fedrl_ray.config import loading
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.run_directory import EVALUATIONS, METRICS, read_rows
from fedrl_ray.sweeps import points
from fedrl_ray.sweeps.directory import read_trials
from tests.support.heads import Head, add_node, end, head, node_ip
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
COMMAND = [sys.executable, "-m", "fedrl_ray"]
SWEEP = {
    "federation": {"num_agents": 2, "steps": 4000, "backend": "ray", "agents_per_actor": 1},
    "learner": {"hidden_sizes": [8]},
    "evaluation": {"every": 1000, "grid": 3, "episodes": 2},
    "checkpoint": {"every": 400},
    "sweep": {"search": {"learner.omega": [0.0, 0.2, 0.4, 0.6]}, "max_concurrent": 2},
}


def fedrl(cluster: Head, *arguments: object, **environment: str) -> tuple[int, str, str]:
    """Run a command with the cluster's token. Return its status, output and errors."""
    result = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=cluster.environment | {"RAY_API_SERVER_ADDRESS": cluster.url} | environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def rounds(output: Path) -> dict[str, int]:
    """Return the last logged round of every trial that has begun and not ended."""
    found = {}
    for path in output.glob(f"trials/*/{METRICS}"):
        rows = read_rows(path)
        if rows and not (path.parent / "summary.json").exists():
            found[path.parent.name] = rows[-1]["round"]
    return found


def until(what: Callable[[], Any], seconds: float = 300.0) -> Any:
    """Ask again and again, and return the first true value."""
    end_time = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end_time, "not within the time"
        time.sleep(0.05)
    return value


def test_a_submitted_sweep_of_which_a_node_is_killed_ends_with_the_undisturbed_table(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, SWEEP), sort_keys=False))
    with head(cpus=2) as cluster:  # room for three trials, of which two run at once
        nodes = [add_node(cluster, 2), add_node(cluster, 2)]
        until(lambda: _nodes(cluster) == 3)
        output = cluster.folder / "store" / "sweep-small"
        status, out, err = fedrl(
            cluster, "submit", path, "--sweep", "--storage", output.parent, "--id", "sweep"
        )
        assert status == 0, out + err
        until(lambda: len(r := rounds(output)) >= 2 and min(r.values()) >= 30)
        before, killed = rounds(output), time.time()
        end(next(node for node in nodes if _workers(node, output, before)))
        lost = until(lambda: _gone_back(output, before, since=killed))
        recovered = time.time() - killed
        status, out, err = fedrl(cluster, "logs", "sweep", "--follow")
        assert status == 0, out + err
        trials = read_trials(output)
        print(f"\nrecovered in {recovered:.1f} s; rounds computed again: {lost}")
        _require_undisturbed(loading.load(path), output, tmp_path)
    assert len(trials) == 4 and {t.status for t in trials} == {"completed"}


def _nodes(cluster: Head) -> int:
    code = "import ray; ray.init(log_to_driver=False); print(len(ray.nodes()))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=cluster.environment | {"RAY_ADDRESS": cluster.gcs},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


def _workers(node: subprocess.Popen[bytes], output: Path, trials: Iterable[str]) -> bool:
    """Return True if workers of these trials are processes of a node."""
    logs = (output / "trials" / trial / "log.jsonl" for trial in trials)
    started = (json.loads(log.read_text().splitlines()[0]) for log in logs)
    pids = [worker["pid"] for event in started for worker in event["workers"]]
    return any(p.pid == node.pid for pid in pids for p in psutil.Process(pid).parents())


def _gone_back(output: Path, before: dict[str, int], since: float) -> dict[str, int]:
    """Return the trials that have gone back to a checkpoint, with the number of rounds.

    Their logs keep it. The last round in metrics.jsonl is less than before for a moment only.
    """
    found = {}
    for trial in before:
        for line in (output / "trials" / trial / LOG).read_text().splitlines():
            event = json.loads(line)
            late = datetime.fromisoformat(event["time"]).timestamp() > since
            if late and event["event"] in ("rewind", "resumed"):
                found[trial] = before[trial] - event["round"]
    return found


def _require_undisturbed(experiment: Any, output: Path, aside: Path) -> None:
    """Assert that each trial has the digests and evaluations of its point trained alone."""
    for trial in read_trials(output):
        data = points.at_point(experiment.to_dict(), trial.point, trial.seed).to_dict()
        data["federation"]["backend"] = "in_process"
        expected = train(loading.from_dict(data), aside / trial.name)
        there = output / "trials" / trial.name
        assert digests(json.loads((there / "summary.json").read_text())) == digests(expected)
        assert read_rows(there / EVALUATIONS) == read_rows(aside / trial.name / EVALUATIONS)


def test_a_sweep_that_is_stopped_and_submitted_again_keeps_its_finished_trials(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, SWEEP), sort_keys=False))
    with head(cpus=2) as cluster:
        output = cluster.folder / "store" / "sweep-small"
        arguments = ["submit", path, "--sweep", "--storage", output.parent]
        assert fedrl(cluster, *arguments, "--id", "one")[0] == 0
        until(lambda: "completed" in {t.status for t in read_trials(output)})
        status, out, err = fedrl(cluster, "stop", "one", "--json")
        assert status == 0 and json.loads(out)["status"] == "STOPPED", err
        before = {t.name: t.status for t in read_trials(output)}
        assert "completed" in before.values() and set(before.values()) != {"completed"}
        done = [output / "trials" / name for name, s in before.items() if s == "completed"]
        kept = {path / METRICS: (path / METRICS).stat().st_mtime_ns for path in done}
        status, out, err = fedrl(cluster, *arguments, "--id", "two", "--follow")
        assert status == 0, out + err
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())
        _require_undisturbed(loading.load(path), output, tmp_path)


def test_an_open_cluster_is_used_only_by_who_says_so(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, {"federation": {"backend": "ray"}})))
    with head(token=None, host=node_ip()) as cluster:
        ours = {"RAY_AUTH_TOKEN": "a-token-of-thirty-two-characters", "RAY_AUTH_MODE": "token"}
        status, _, err = fedrl(cluster, "status", **ours)
        assert status == 2 and "this cluster asks for no token" in err and err.count("\n") == 1
        port = cluster.gcs.rpartition(":")[2]
        for address in (cluster.gcs, f"127.0.0.1:{port}"):
            joined = {"RAY_ADDRESS": address} | ours
            status, _, err = fedrl(cluster, "train", path, "--output", tmp_path / "run", **joined)
            assert status == 2 and "this cluster asks for no token" in err and err.count("\n") == 1
        allowed = {"FEDRL_ALLOW_OPEN_CLUSTER": "1"}
        submit = ["submit", path, "--storage", cluster.folder / "store", "--follow"]
        status, out, err = fedrl(cluster, *submit, **allowed)
        assert status == 0, out + err


def test_over_a_network_the_token_goes_along_and_a_remark_on_it(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, {"federation": {"backend": "ray"}})))
    with head(host=node_ip()) as cluster:
        status, out, err = fedrl(cluster, "status", "--json")
        assert (status, json.loads(out)) == (0, [])
        assert err.startswith("note: the token goes to http://") and "in clear text" in err
        wrong = {"RAY_ADDRESS": cluster.gcs, "RAY_AUTH_TOKEN": "another"}
        status, _, err = fedrl(cluster, "train", path, "--output", tmp_path / "run", **wrong)
        assert status == 2 and "is not this cluster's" in err and err.count("\n") == 1
        right = {"RAY_ADDRESS": cluster.gcs}
        status, _, err = fedrl(cluster, "train", path, "--output", tmp_path / "run", **right)
        assert status == 0, err
