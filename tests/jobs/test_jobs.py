"""Jobs on a real head with a token, through its Jobs API and the command line."""

from __future__ import annotations

import contextlib
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

from fedrl_ray.config import loading
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.dropping_proxy import DroppingProxy
from tests.support.heads import Head, free_ports, head, node_ip
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged
from tests.support.waiting import eventually

COMMAND = [sys.executable, "-m", "fedrl_ray"]
SPRING = """
import time
import gymnasium
import numpy as np
from tuning import HOLD, STIFFNESS

class Spring(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, mass=1.0):
        self.mass = mass

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-1, 1), 0.0
        return np.array([self.x, self.v], np.float32), {}

    def step(self, action):
        if self.mass not in (0.8, 1.0, 1.2) and HOLD.exists():
            time.sleep(0.03)
        self.v += 0.1 * (2 * action - 1 - STIFFNESS * self.x) / self.mass
        self.x += 0.1 * self.v
        return np.array([self.x, self.v], np.float32), -abs(self.x), False, False, {}
"""
USERS = {
    "name": "springs of ours",
    "federation": {"num_agents": 2, "steps": 80, "backend": "ray", "agents_per_actor": 2},
    "environment": {
        "name": "gymnasium",
        "factory": "springs:Spring",
        "max_episode_steps": 20,
        "parameters": {"mass": {"target": "mass"}},
        "perturb": {"mass": 0.2},
    },
    "evaluation": {"every": 40},
    "checkpoint": {"every": 40},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    with head() as found:
        yield found


@pytest.fixture
def fedrl(cluster: Head, tmp_path: Path) -> Callable[..., Any]:
    """Run a command in `tmp_path` with the cluster's token. Return status, output and errors."""

    def run(*arguments: object, **environment: str) -> tuple[int, str, str]:
        result = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=cluster.environment | {"RAY_API_SERVER_ADDRESS": cluster.url} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return result.returncode, result.stdout, result.stderr

    return run


def write(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def springs(folder: Path, hold: Path, **changes: Any) -> Path:
    """Write an experiment with a user's environment, in two modules beside it.

    While the file `hold` exists, the agents are slow; the trial and the evaluation are not.
    """
    (folder / "springs.py").write_text(SPRING)
    tuning = f"import pathlib\nHOLD = pathlib.Path({str(hold)!r})\nSTIFFNESS = 2.0\n"
    (folder / "tuning.py").write_text(tuning)
    data = merged(merged(SMALL, USERS), changes)
    data["environment"] = USERS["environment"]
    return write(folder, data)


@pytest.mark.slow
def test_a_users_environment_trains_on_the_cluster_and_its_report_is_fetched(
    cluster, fedrl, tmp_path
):
    path, storage = springs(tmp_path, cluster.folder / "hold"), cluster.folder / "store"
    status, out, err = fedrl("submit", path, "--storage", storage, "--id", "first", "--follow")
    assert status == 0, err
    assert f"results   {storage / 'springs of ours'}" in out
    assert "fedrl-ray stop first" in out and "fedrl-ray fetch first" in out
    assert "job first: succeeded" in err and out.count("digest  ") == 1

    status, out, _ = fedrl("status", "first", "--json")
    known = json.loads(out)
    assert (known["status"], known["command"]) == ("SUCCEEDED", "train")
    assert known["progress"]["round"] == 4 and known["versions"]["ray"]

    status, out, err = fedrl("fetch", "first", "--through-job", "--no-checkpoints")
    assert status == 0, err
    fetched = tmp_path / "runs" / "springs of ours"
    assert {"config.yaml", "summary.json", METRICS} <= {p.name for p in fetched.iterdir()}
    assert not (fetched / "checkpoints").exists()
    assert (fetched / METRICS).read_bytes() == (storage / fetched.name / METRICS).read_bytes()
    assert fedrl("report", fetched)[0] == 0 and (tmp_path / "report.html").is_file()
    assert not _secrets(cluster, known, fetched)


def _secrets(cluster: Head, known: Any, fetched: Path) -> list[str]:
    """Return the places, of all that a user sees, that hold the token."""
    token = Path(cluster.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    files = [p for p in fetched.rglob("*") if p.is_file() and token.encode() in p.read_bytes()]
    return [*map(str, files), *([token] if token in json.dumps(known) else [])]


@pytest.mark.slow
def test_left_alone_stopped_and_submitted_again_it_ends_with_the_undisturbed_digest(
    cluster, fedrl, tmp_path, monkeypatch
):
    hold, storage = cluster.folder / "hold", cluster.folder / "store"
    longer = {
        "name": "held",
        "federation": {"steps": 1200, "backend": "in_process"},
        "evaluation": {"every": 600},
        "checkpoint": {"every": 200},
    }
    path, output = springs(tmp_path, hold, **longer), storage / "held"
    monkeypatch.syspath_prepend(tmp_path)
    whole = train(loading.load(path), tmp_path / "whole")
    hold.touch()
    arguments = ["submit", path, "--storage", storage]
    with _follower(cluster, tmp_path, *arguments, "--id", "held-1", "--follow") as process:
        _wait_for_rounds(output, process, 2)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "job held-1 goes on; to show its log again: fedrl-ray logs held-1 --address" in out

    status, _, err = fedrl(*arguments)
    assert status == 2 and f"job held-1 (running) writes to {output}" in err

    status, out, err = fedrl("stop", "held-1", "--json")
    assert status == 0 and json.loads(out)["status"] == "STOPPED", err
    summary = json.loads((output / "summary.json").read_text())
    assert summary["status"] == "interrupted" and 2 <= summary["rounds"] < whole["rounds"]

    with DroppingProxy(int(cluster.url.rpartition(":")[2]), then=hold.unlink) as proxy:
        again = [*arguments, "--id", "held-2", "--follow"]
        status, out, err = fedrl(*again, "--address", f"http://127.0.0.1:{proxy.port}")
    assert status == 0, out + err
    assert proxy.dropped == 2 and out.endswith(fedrl("logs", "held-2")[1])
    assert digests(json.loads((output / "summary.json").read_text())) == digests(whole)


@contextlib.contextmanager
def _follower(cluster: Head, folder: Path, *command: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *map(str, command)],
        env=cluster.environment | {"RAY_API_SERVER_ADDRESS": cluster.url},
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()


def _wait_for_rounds(output: Path, process: subprocess.Popen[str], rounds: int) -> None:
    def there() -> bool:
        return len(read_rows(output / METRICS)) >= rounds

    eventually(lambda: require(there() or process.poll() is not None), within=120.0)
    assert there(), process.communicate()


def require(condition: bool) -> None:
    """Assert a condition."""
    assert condition


OTHERS = {
    "wrong token": ({"RAY_AUTH_TOKEN": "another"}, 2, "token here (RAY_AUTH_TOKEN) is not this"),
    "no token": ({"RAY_AUTH_TOKEN_PATH": ""}, 2, "asks for a token, and there is no token here"),
    "switched off": (
        {"RAY_AUTH_MODE": "disabled"}, 2, "RAY_AUTH_MODE switches the token off here: unset it",
    ),
    "no such file": ({"RAY_AUTH_TOKEN_PATH": "/nope"}, 2, "/nope: no such file"),
    "no head": (
        {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{free_ports(1)[0]}"}, 1, "Connection refused",
    ),
    "from afar": ({"RAY_API_SERVER_ADDRESS": f"http://{node_ip()}:1", "RAY_AUTH_TOKEN_PATH": ""},
                  2, "other machines can reach this cluster, and there is no token here"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_who_does_not_belong_gets_one_line(fedrl, case):
    environment, expected, words = OTHERS[case]
    environment = {"RAY_AUTH_MODE": "token"} | environment
    start = time.monotonic()
    status, out, err = fedrl("status", **environment)
    assert (status, out) == (expected, "")
    assert words in err and err.startswith("error: ") and err.count("\n") == 1
    assert time.monotonic() - start < 60  # 2 to 7 s here; nothing waits for Ray's own minutes


def test_an_unknown_job_is_one_line(fedrl):
    status, _, err = fedrl("stop", "frist")
    assert status == 2 and err.count("\n") == 1 and "no fedrl-ray job is called 'frist'" in err
