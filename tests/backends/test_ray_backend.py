"""The same laws with real Ray actors: packing, late replies, killed and hung actors."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder
from fedrl_ray.backends import channel, ray_backend
from fedrl_ray.backends.placement import groups
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.common.errors import RunError
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.remote_run import RemoteRun
from fedrl_ray.runs.run import Run
from tests.support.runs import digests, train

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


class LateAgents(LocalAgents):
    """Answers after a random delay."""

    def run_round(self, order: Any) -> Any:
        time.sleep(random.uniform(0, 0.05))
        return super().run_round(order)


class ObservedAgents(LocalAgents):
    """Tells its process id, so that a test can kill it."""

    def process_id(self) -> int:
        return os.getpid()


class BrokenAgents(LocalAgents):
    """User code that raises in round 2."""

    def run_round(self, order: Any) -> Any:
        if order.round == 2:
            raise ValueError("sensor 7 gives no reading")
        return super().run_round(order)


@pytest.fixture
def ray_driver(tmp_path) -> Iterator[Any]:
    """Builds a driver over real actors of a given class; ends them afterwards."""
    drivers: list[Driver] = []

    def build(experiment: Any, agents_class: Any, directory: Path) -> Driver:
        f = experiment.federation
        packed = groups(f.num_agents, f.agents_per_actor, cpus=2)
        backend = RayBackend(
            experiment.to_dict(),
            packed,
            requests=[{"CPU": 0.1}] * len(packed),
            timeout=f.round_timeout,
            build=agents_class,
        )
        drivers.append(Driver(experiment, directory=directory, backend=backend))
        return drivers[-1]

    yield build
    for driver in drivers:
        driver.close()


def process_ids(driver: Driver) -> list[int]:
    return driver.backend.call(range(len(driver.groups)), "process_id")  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Any]:
    """The small experiment in one process: what every disturbed run must equal."""
    from fedrl_ray.config.loading import from_dict
    from tests.support.small import SMALL

    return train(from_dict(SMALL), tmp_path_factory.mktemp("undisturbed") / "run")


@pytest.mark.parametrize("agents_per_actor", [1, 2, 5])
def test_ray_actors_and_late_replies_change_no_bit(
    small, tmp_path, ray_driver, undisturbed, agents_per_actor
):
    experiment = small(federation={"agents_per_actor": agents_per_actor})
    driver = ray_driver(experiment, LateAgents, tmp_path / "run")
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


def test_messages_of_ray_alone_change_no_bit(small, tmp_path, ray_driver, undisturbed, monkeypatch):
    """As between nodes, where there are no lines."""
    monkeypatch.setattr(ray_backend, "new_outbox", lambda: None)
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment, LateAgents, tmp_path / "run")
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


def test_an_answer_that_nobody_took_is_not_taken_for_another(small, tmp_path, ray_driver):
    driver = ray_driver(small(federation={"agents_per_actor": 3}), ObservedAgents, tmp_path / "run")
    order = RoundOrder(round=0, attempt=0, shared=driver.server.shared)
    first, _ = process_ids(driver)
    driver.backend.run_round(order, [0, 1])  # given up before any answer was taken
    assert driver.backend.call([0], "process_id") == [first]
    replies = list(driver.backend.run_round(order, [0, 1]))
    assert [reply.agent_ids for reply in replies] == [(0, 1, 2), (3, 4)]


def test_an_interrupted_wait_leaves_no_answer_behind(small, tmp_path, ray_driver, monkeypatch):
    driver = ray_driver(small(federation={"agents_per_actor": 3}), ObservedAgents, tmp_path / "run")
    order = RoundOrder(round=0, attempt=0, shared=driver.server.shared)
    ids = process_ids(driver)
    with monkeypatch.context() as patched:
        patched.setattr(channel.Line, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(driver.backend.run_round(order, [0, 1]))
    assert process_ids(driver) == ids


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_an_actor_whose_door_is_out_of_reach_is_asked_through_ray(
    small, tmp_path, ray_driver, undisturbed, monkeypatch
):
    """Its file system may be another one, a container's."""

    def out_of_reach(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(channel, "call", out_of_reach)
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment, LocalAgents, tmp_path / "run")
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


def test_an_actor_killed_in_the_middle_changes_no_bit(small, tmp_path, ray_driver, undisturbed):
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment, ObservedAgents, tmp_path / "run")
    run = Run(experiment, tmp_path / "run", driver=driver)
    for _ in range(6):
        run.advance()
    os.kill(process_ids(driver)[1], signal.SIGKILL)
    after = run.advance()
    assert after.round == 5  # back to the checkpoint of round 4
    assert "agents 3-4 died" in after.failures[0]
    list(run)
    assert digests(run.finish()) == digests(undisturbed)


def test_a_hung_actor_is_killed_and_changes_no_bit(small, tmp_path, ray_driver, undisturbed):
    experiment = small(federation={"agents_per_actor": 3, "round_timeout": 30.0})
    driver = ray_driver(experiment, ObservedAgents, tmp_path / "run")
    run = Run(experiment, tmp_path / "run", driver=driver)
    run.advance()
    hung = process_ids(driver)[0]
    driver.backend._timeout = 5.0  # type: ignore[attr-defined]
    os.kill(hung, signal.SIGSTOP)
    after = run.advance()
    assert "agents 0-2 did not answer in time" in after.failures[0]
    driver.backend._timeout = 30.0  # type: ignore[attr-defined]
    list(run)
    assert digests(run.finish()) == digests(undisturbed)
    assert not _runs(hung)


def _runs(process: int) -> bool:
    """Whether a process is there and not a zombie; a killed one may take a moment to go."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.1)
    return True


def test_an_actor_killed_under_continue_is_not_waited_for_and_joins_when_it_is_up(
    small, tmp_path, ray_driver
):
    experiment = small(federation={"agents_per_actor": 3, "on_failure": "continue"})
    driver = ray_driver(experiment, ObservedAgents, tmp_path / "run")
    run = Run(experiment, tmp_path / "run", driver=driver)
    for _ in range(5):
        run.advance()
    os.kill(process_ids(driver)[0], signal.SIGKILL)
    assert [run.advance().participants for _ in range(2)] == [2, 2]
    driver.backend.await_up([0])
    assert {report.participants for report in run} == {5}
    assert run.finish()["status"] == "completed"


def test_an_exception_stops_the_run_with_its_traceback(small, tmp_path, ray_driver):
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment, BrokenAgents, tmp_path / "run")
    with pytest.raises(RunError, match="ValueError: sensor 7 gives no reading") as error:
        train(experiment, tmp_path / "run", driver)
    assert str(error.value).startswith("agents 0-2 raised")


def test_the_driver_actor_killed_in_the_middle_changes_no_bit(small, tmp_path, undisturbed):
    experiment = small(federation={"backend": "ray", "agents_per_actor": 3})
    run = RemoteRun(experiment, tmp_path / "run")
    for _ in range(6):
        run.advance()
    ray.kill(run._actor)
    assert run.advance().round == 5
    while not run.done:
        run.advance()
    assert digests(run.finish()) == digests(undisturbed)
    run.close()
    rows = [json.loads(channel) for channel in (tmp_path / "run" / LOG).read_text().splitlines()]
    lives = ("started", "driver_died", "resumed")
    assert tuple(row["event"] for row in rows if row["event"] in lives) == lives
