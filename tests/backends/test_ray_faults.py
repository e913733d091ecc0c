"""Faults of a run with Ray workers: killed and hung workers, and a killed driver."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import psutil
import pytest

from fedrl_ray.backends.backend import Workers
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.remote_run import RemoteRun
from fedrl_ray.runs.run import Run
from tests.support.ray_drivers import process_ids, ray_backend
from tests.support.runs import digests
from tests.support.waiting import eventually

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.mark.parametrize("channel", ["auto", "ray"])
def test_an_actor_killed_and_another_hung_in_the_middle_change_no_bit(
    small, tmp_path, ray_driver, undisturbed, monkeypatch, channel
):
    experiment = small(federation={"agents_per_actor": 3, "channel": channel})
    driver = ray_driver(experiment)
    run = Run(experiment, tmp_path / "run", driver=driver)
    for _ in range(6):
        run.advance()
    hung, killed = process_ids(driver)
    os.kill(killed, signal.SIGKILL)
    after = run.advance()
    assert after.round == 5  # back to the checkpoint of round 4
    assert "agents 3-4 died" in after.failures[0]
    while after.round < 7:
        after = run.advance()
    be_impatient_until_a_worker_is_lost(ray_backend(driver), monkeypatch)
    os.kill(hung, signal.SIGSTOP)
    after = run.advance()
    assert after.round == 5
    assert "agents 0-2 did not answer in time" in after.failures[0]
    list(run)
    assert digests(run.finish()) == digests(undisturbed)
    eventually(lambda: require_ended(hung))


def be_impatient_until_a_worker_is_lost(
    backend: RayBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wait 1 s for replies, and as long as before once workers are rebuilt: a new one is slow."""
    rebuild, before = backend.rebuild, backend.timeout

    def patient_again(workers: Workers) -> None:
        backend.timeout = before
        rebuild(workers)

    monkeypatch.setattr(backend, "rebuild", patient_again)
    backend.timeout = 1.0


def require_ended(process: int) -> None:
    """Assert that a process has ended; a zombie has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def test_an_actor_killed_under_continue_is_not_waited_for_and_joins_when_it_is_up(
    small, tmp_path, ray_driver, monkeypatch
):
    experiment = small(federation={"agents_per_actor": 3, "on_failure": "continue"})
    driver = ray_driver(experiment)
    run = Run(experiment, tmp_path / "run", driver=driver)
    for _ in range(5):
        run.advance()
    os.kill(process_ids(driver)[0], signal.SIGKILL)
    with monkeypatch.context() as starting:  # the new worker, however long it takes
        starting.setattr(driver.backend, "is_up", lambda worker: False)
        assert [run.advance().participants for _ in range(2)] == [2, 2]
    driver.backend.await_up([0])
    assert {report.participants for report in run} == {5}
    assert run.finish()["status"] == "completed"


def driver_actors() -> set[int]:
    """Process ids of all drivers' actors in this session's Ray; that of an older run may linger."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name().startswith("ray::DriverAct"):
                found.add(process.pid)
    return found


def test_the_driver_actor_killed_in_the_middle_changes_no_bit(small, tmp_path, undisturbed):
    experiment = small(federation={"backend": "ray", "agents_per_actor": 3})
    older = driver_actors()
    run = RemoteRun(experiment, tmp_path / "run")
    for _ in range(6):
        run.advance()
    (driver,) = driver_actors() - older
    os.kill(driver, signal.SIGKILL)
    assert run.advance().round == 5
    while not run.done:
        run.advance()
    assert digests(run.finish()) == digests(undisturbed)
    run.close()
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    lives = ("started", "driver_died", "resumed")
    assert tuple(row["event"] for row in rows if row["event"] in lives) == lives
