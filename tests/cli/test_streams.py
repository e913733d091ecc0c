"""Standard output holds results alone, and what cannot be printed fails no finished run."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.cli import main
from fedrl_ray.common import signals
from fedrl_ray.common.errors import UserError
from fedrl_ray.common.exits import StopAtOnce
from fedrl_ray.storage import locations
from tests.support.small import SMALL

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "fedrl_ray"]


class Full(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class Left(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def narrow(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


LOST = {"full": Full, "left": Left, "closed": closed, "none": lambda: None}
NARROW = ["ascii", "latin-1", "cp1252"]


def run(monkeypatch: Any, stdout: Any, stderr: Any, *arguments: object) -> int:
    """Run the command line in this process on other streams; return its status."""
    monkeypatch.setattr(sys, "argv", ["fedrl-ray", *map(str, arguments)])
    with monkeypatch.context() as patched, pytest.raises(SystemExit) as end:
        patched.setattr(sys, "stdout", stdout)
        patched.setattr(sys, "stderr", stderr)
        main.main()
        raise SystemExit(0)
    return int(end.value.code or 0)


@pytest.mark.parametrize("name", LOST)
def test_a_finished_run_is_no_failure_if_nothing_can_be_printed(
    monkeypatch, small_yaml, tmp_path, name
):
    arguments = ("train", small_yaml(), "--output", tmp_path / "run")
    assert run(monkeypatch, LOST[name](), LOST[name](), *arguments) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "completed"


@pytest.mark.parametrize("encoding", NARROW)
def test_streams_that_lack_characters_show_something_else(
    monkeypatch, small_yaml, tmp_path, encoding
):
    out, output = narrow(encoding), tmp_path / "run-\N{GREEK SMALL LETTER OMEGA}"
    status = run(monkeypatch, out, narrow(encoding), "train", small_yaml(), "--output", output)
    assert status == 0
    out.seek(0)
    text = out.read()
    assert "nominal" in text and "###" in text and r"run-\u03c9" in text


@pytest.mark.parametrize(("name", "status"), [("full", 1), ("left", 0), ("closed", 1)])
def test_a_command_that_only_prints_fails_if_its_disk_is_full(monkeypatch, name, status):
    err = io.StringIO()
    assert run(monkeypatch, LOST[name](), err, "describe", "cartpole") == status
    assert err.getvalue().count("\n") == status


@pytest.mark.parametrize("columns", ["0", "1", "19"])
def test_a_terminal_without_columns_loses_no_result(tmp_path, columns):
    done = subprocess.run(
        [*COMMAND, "--help"], capture_output=True, text=True, env=os.environ | {"COLUMNS": columns}
    )
    assert done.returncode == 0 and "Train one federation" in done.stdout


def test_json_is_alone_on_stdout_whatever_a_simulator_prints(tmp_path):
    environment = {
        "name": "gymnasium",
        "factory": "tests.support.user_envs:NoisySpring",
        "max_episode_steps": 50,
        "parameters": {"mass": {"target": "mass"}},
        "perturb": {"mass": 0.5},
    }
    path = tmp_path / "noisy.yaml"
    path.write_text(yaml.safe_dump(SMALL | {"environment": environment}))
    command = [*COMMAND, "train", str(path), "--output", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout)["status"] == "completed" and done.stdout.count("\n") == 1
    for words in ("version 1.2", "build time", "licence: none", "simulator closed"):
        assert words in done.stderr


@pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_no_files(tmp_path, closing):
    """A file that took the number of a closed descriptor would get what C code prints."""
    program = "import os, sys; from fedrl_ray.common.streams import *; "
    program += "open_standard_descriptors(); file = open(sys.argv[1], 'w'); os.write(1, b'noise')"
    path = tmp_path / "file"
    subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" "$2" {closing}', sys.executable, program, str(path)],
        check=True, cwd=ROOT,
    )  # fmt: skip
    assert path.read_text() == ""


@pytest.mark.parametrize(("written", "read"), [("~/x", "x"), ("~", ""), ("~/a b/~", "a b/~")])
def test_a_tilde_is_the_home_directory(monkeypatch, tmp_path, written, read):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locations.parse(written) == tmp_path / read
    with pytest.raises(UserError, match="no home directory ~nobody-is-called-so"):
        locations.parse("~nobody-is-called-so/x")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "~/none.yaml"),
        ("report", "~/none", "--output", "~/report.html"),
        ("evaluate", "~/none.yaml", "--config", "~/none.yaml"),
    ],
)
def test_a_tilde_is_the_home_directory_in_every_path(fedrl, monkeypatch, tmp_path, arguments):
    monkeypatch.setenv("HOME", str(tmp_path))
    status, _, err = fedrl(*arguments)
    assert status == 2 and str(tmp_path / "none") in err and "~" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_hangup_ends_a_command_as_sigterm_does(number):
    with pytest.raises(StopAtOnce) as stop, signals.ending_at_once():
        os.kill(os.getpid(), number)
    assert stop.value.status == 128 + number


def test_nohup_is_obeyed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.ending_at_once():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.ending() == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)
