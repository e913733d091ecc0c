"""The whole program, stopped by a signal and resumed, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.config import loading
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from fedrl_ray.cli.main import main; main()", "train"]
ROUNDS = 60


def experiment(hold: Path) -> dict[str, Any]:
    """Return an experiment that is slow from its fourth round on while the file `hold` exists."""
    data = merged(
        SMALL,
        {
            "federation": {"steps": 20 * ROUNDS, "backend": "ray", "agents_per_actor": 3},
            "evaluation": {"every": None, "where": "none"},
        },
    )
    data["environment"] = {
        "name": "gymnasium",
        "factory": "tests.support.user_envs:HeldSpring",
        "max_episode_steps": 50,
        "kwargs": {"hold": str(hold)},
        "parameters": {"mass": {"target": "mass"}},
        "perturb": {"mass": 0.5},
    }
    return data


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The experiment file, and the digests of an undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(experiment(folder / "hold")))
    in_process = loading.load(path, ["federation.backend=in_process"])
    return path, digests(train(in_process, folder / "run"))


def start(path: Path, output: Path) -> subprocess.Popen[str]:
    """Train in a process group of its own; return in the middle, which lasts until `resume`."""
    path.with_name("hold").touch()
    process = subprocess.Popen(
        [*COMMAND, str(path), "--output", str(output)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,  # where the environment is
    )

    def has_begun() -> None:
        assert len(read_rows(output / METRICS)) >= 6 or process.poll() is not None

    eventually(has_begun, within=120.0, every=0.02)
    assert process.poll() is None, process.communicate()
    return process


def resume(path: Path, output: Path, *more: str) -> tuple[str, str]:
    path.with_name("hold").unlink()
    command = [*COMMAND, str(path), "--output", str(output), "--resume", "--json", *more]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return digests(json.loads(result.stdout))


def test_ctrl_c_writes_a_checkpoint_says_how_to_resume_and_resumes_exactly(whole, tmp_path):
    path, expected = whole
    process = start(path, tmp_path / "run")
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert f"--output {tmp_path / 'run'} --resume" in out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "interrupted" and 6 <= summary["rounds"] < ROUNDS
    assert resume(path, tmp_path / "run", "--set", "federation.backend=in_process") == expected


def test_sigkill_of_the_program_and_resume_changes_no_bit(whole, tmp_path):
    path, expected = whole
    process = start(path, tmp_path / "run")
    process.kill()
    process.wait()
    assert not (tmp_path / "run" / "summary.json").exists()
    assert resume(path, tmp_path / "run") == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_write_a_checkpoint(whole, tmp_path, number):
    path, expected = whole
    process = start(path, tmp_path / "run")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert resume(path, tmp_path / "run") == expected
