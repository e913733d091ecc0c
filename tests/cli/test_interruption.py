"""The whole program, stopped by a signal and resumed, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from fedrl_ray.config import loading
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged

COMMAND = [sys.executable, "-c", "from fedrl_ray.cli.main import main; main()", "train"]
LONG = {"steps": 2000, "backend": "ray", "agents_per_actor": 3}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The experiment file, and the digests of an undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, {"federation": LONG})))
    experiment = loading.load(path, ["federation.backend=in_process"])
    return path, digests(train(experiment, folder / "run"))


def start(path: Path, output: Path) -> subprocess.Popen[str]:
    """Train in a process group of its own, and return once rounds are in the log."""
    process = subprocess.Popen(
        [*COMMAND, str(path), "--output", str(output)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for _ in range(2400):
        if len(list(read_rows(output / METRICS))) >= 6 or process.poll() is not None:
            return process
        time.sleep(0.05)
    raise AssertionError("no rounds within two minutes")


def resume(path: Path, output: Path) -> tuple[str, str]:
    command = [*COMMAND, str(path), "--output", str(output), "--resume", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
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
    assert summary["status"] == "interrupted" and summary["rounds"] < 100
    assert resume(path, tmp_path / "run") == expected


def test_sigkill_of_the_program_and_resume_changes_no_bit(whole, tmp_path):
    path, expected = whole
    process = start(path, tmp_path / "run")
    process.kill()
    process.wait()
    assert not (tmp_path / "run" / "summary.json").exists()
    assert resume(path, tmp_path / "run") == expected


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint(whole, tmp_path):
    path, expected = whole
    process = start(path, tmp_path / "run")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert resume(path, tmp_path / "run") == expected
