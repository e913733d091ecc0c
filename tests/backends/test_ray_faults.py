"""Faults of a run with Ray workers: killed and hung workers, and a killed driver."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest

from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.remote_run import RemoteRun
from fedrl_ray.runs.run import Run
from tests.support.ray_drivers import process_ids, ray_backend
from tests.support.runs import digests

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.mark.parametrize("channel", ["auto", "ray"])
def test_an_actor_killed_in_the_middle_changes_no_bit(
    small, tmp_path, ray_driver, undisturbed, channel
):
    experiment = small(federation={"agents_per_actor": 3, "channel": channel})
    driver = ray_driver(experiment)
    run = Run(experiment, tmp_path / "run", driver=driver)
    for _ in range(6):
        run.advance()
    os.kill(process_ids(driver)[1], signal.SIGKILL)
    after = run.advance()
    assert after.round == 5  # back to the checkpoint of round 4
    assert "agents 3-4 died" in after.failures[0]
    list(run)
    assert digests(run.finish()) == digests(undisturbed)


@pytest.mark.parametrize("channel", ["auto", "ray"])
def test_a_hung_actor_is_killed_and_changes_no_bit(
    small, tmp_path, ray_driver, undisturbed, channel
):
    federation = {"agents_per_actor": 3, "round_timeout": 30.0, "channel": channel}
    experiment = small(federation=federation)
    driver = ray_driver(experiment)
    run = Run(experiment, tmp_path / "run", driver=driver)
    run.advance()
    hung = process_ids(driver)[0]
    ray_backend(driver).timeout = 5.0
    os.kill(hung, signal.SIGSTOP)
    after = run.advance()
    assert "agents 0-2 did not answer in time" in after.failures[0]
    ray_backend(driver).timeout = 30.0
    list(run)
    assert digests(run.finish()) == digests(undisturbed)
    assert not _is_alive(hung)


def _is_alive(process: int) -> bool:
    """Tell if a process lives and is no zombie; wait 5 s at most for a killed one to end."""
    for _ in range(50):
        if not psutil.pid_exists(process) or psutil.Process(process).status() == "zombie":
            return False
        time.sleep(0.1)
    return True


def test_an_actor_killed_under_continue_is_not_waited_for_and_joins_when_it_is_up(
    small, tmp_path, ray_driver
):
    experiment = small(federation={"agents_per_actor": 3, "on_failure": "continue"})
    driver = ray_driver(experiment)
    run = Run(experiment, tmp_path / "run", driver=driver)
    for _ in range(5):
        run.advance()
    os.kill(process_ids(driver)[0], signal.SIGKILL)
    assert [run.advance().participants for _ in range(2)] == [2, 2]
    driver.backend.await_up([0])
    assert {report.participants for report in run} == {5}
    assert run.finish()["status"] == "completed"


def driver_actor() -> int:
    """Process id of the driver's actor, a child of this session's Ray."""
    children = psutil.Process().children(recursive=True)
    return next(p.pid for p in children if p.name().startswith("ray::DriverAct"))


def test_the_driver_actor_killed_in_the_middle_changes_no_bit(small, tmp_path, undisturbed):
    experiment = small(federation={"backend": "ray", "agents_per_actor": 3})
    run = RemoteRun(experiment, tmp_path / "run")
    for _ in range(6):
        run.advance()
    os.kill(driver_actor(), signal.SIGKILL)
    assert run.advance().round == 5
    while not run.done:
        run.advance()
    assert digests(run.finish()) == digests(undisturbed)
    run.close()
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    lives = ("started", "driver_died", "resumed")
    assert tuple(row["event"] for row in rows if row["event"] in lives) == lives
