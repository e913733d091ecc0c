"""A Ray of our own: a failed start is one line, and its processes end with the program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from fedrl_ray.common.errors import UserError
from fedrl_ray.ray_cluster import local_ray, tokens
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
FOLDERS = [
    ("x" * 90, "must have at most"),
    ("\N{LATIN SMALL LETTER A WITH DIAERESIS}", "must be ASCII"),
    ("/proc/none", "must be a writable folder: No such file or directory"),
    ("file", "must be a writable folder: "),
]


@pytest.mark.parametrize("key", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize(("name", "words"), FOLDERS)
def test_a_folder_that_ray_cannot_use_is_one_line(monkeypatch, tmp_path, key, name, words):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(key, name)
    with pytest.raises(UserError) as error:
        local_ray.start()
    text = str(error.value)
    assert text.startswith(f"{key}: {words}") and f"got {name!r}" in text and "\n" not in text
    assert "RAY_TMPDIR=/tmp names another folder" in text


ERRORS = [
    OSError(12, "Cannot allocate memory"),
    Exception("The current node timed out during startup.\nThis could happen because ..."),
    RuntimeError(""),
]


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_fails_at_the_start_is_one_line_with_a_remedy(monkeypatch, tmp_path, error):
    def fail(**options: Any) -> None:
        raise error

    use(monkeypatch, tmp_path)
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(UserError) as found:
        local_ray.start()
    text = str(found.value)
    assert text.startswith("Ray does not start on this machine: ") and "\n" not in text
    assert "--set federation.backend=in_process" in text


@pytest.mark.parametrize("home", ["missing", "file", "unreadable"])
def test_without_a_home_directory_ray_gets_a_token_of_its_own(monkeypatch, tmp_path, home):
    token = tmp_path / ".ray" / "auth_token"
    if home == "unreadable":
        token.mkdir(parents=True)
    (tmp_path / "file").touch()
    place = {"missing": Path("/proc/none"), "file": tmp_path / "file", "unreadable": tmp_path}
    use(monkeypatch, place[home])
    local_ray.provide_token()
    assert len(os.environ[tokens.TOKEN]) == 64
    first = os.environ[tokens.TOKEN]
    local_ray.provide_token()
    assert os.environ[tokens.TOKEN] == first


@pytest.mark.parametrize("holds", ["nothing", "a token"])
def test_a_home_directory_that_serves_is_used(monkeypatch, tmp_path, holds):
    if holds == "a token":
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("a" * 64)
    use(monkeypatch, tmp_path)
    local_ray.provide_token()
    assert tokens.TOKEN not in os.environ


def use(monkeypatch: Any, home: Path) -> None:
    """Make a folder the home directory, without any token in the environment."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv(tokens.TOKEN, "")  # so that what the code sets is undone
    for name in (tokens.TOKEN, tokens.TOKEN_PATH, tokens.MODE):
        monkeypatch.delenv(name, raising=False)


def test_ray_gets_the_cpus_that_this_process_may_use(monkeypatch, tmp_path):
    asked = []

    def note(**options: Any) -> None:
        asked.append(options["num_cpus"])
        raise OSError

    use(monkeypatch, tmp_path)
    monkeypatch.setattr(ray, "init", note)
    before = os.sched_getaffinity(0)
    for cpus in ({min(before)}, before):
        os.sched_setaffinity(0, cpus)
        try:
            with pytest.raises(UserError):
                local_ray.start()
        finally:
            os.sched_setaffinity(0, before)
    assert asked[0] == 1 and 1 <= asked[1] <= len(before)


PROGRAM = """
import json, os, sys, time
import psutil
from fedrl_ray.common import signals
from fedrl_ray.common.exits import StopAtOnce
from fedrl_ray.ray_cluster import cluster, local_ray

with signals.ending_at_once():
    try:
        cluster.connect()
        import ray
        nice = ray.get(ray.remote(lambda: os.getpriority(os.PRIO_PROCESS, 0)).remote())
        children = [child.pid for child in psutil.Process().children(recursive=True)]
        print(json.dumps({"nice": nice, "children": children}), flush=True)
        time.sleep(600)
    except StopAtOnce as stop:
        sys.exit(stop.status)
    finally:
        local_ray.shut_down()
"""


def test_ray_starts_without_a_home_and_ends_with_the_program():
    """One real start for all that needs one: it takes seconds."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        env=environment | {"HOME": "/proc/none", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())
    assert found["nice"] == os.getpriority(os.PRIO_PROCESS, 0)
    assert len(found["children"]) >= 3
    process.send_signal(signal.SIGTERM)  # Ray replaces its handler
    assert process.wait(timeout=60) == 128 + signal.SIGTERM

    def gone() -> None:
        assert not [pid for pid in found["children"] if psutil.pid_exists(pid)]

    eventually(gone, within=10.0)
