"""The laws of a run with real Ray actors: packing, both transports, killed and hung actors."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder, RoundReply
from fedrl_ray.backends import transports
from fedrl_ray.backends.channel import Channel
from fedrl_ray.backends.placement import groups
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.backends.requests import Request
from fedrl_ray.backends.transports import DirectChannel, RayMessages
from fedrl_ray.common.errors import RunError
from fedrl_ray.config.schema import Experiment
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.remote_run import RemoteRun
from fedrl_ray.runs.run import Run
from tests.support.runs import digests, train

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


class LateAgents(LocalAgents):
    """Local agents that reply after a random delay."""

    def run_round(self, order: RoundOrder) -> RoundReply:
        time.sleep(random.uniform(0, 0.05))
        return super().run_round(order)


class BrokenAgents(LocalAgents):
    """Local agents that raise in round 2, as user code may."""

    def run_round(self, order: RoundOrder) -> RoundReply:
        if order.round == 2:
            raise ValueError("sensor 7 gives no reading")
        return super().run_round(order)


@dataclass(frozen=True)
class ProcessId(Request[int]):
    """Request for the id of a worker's process, so that a test can kill it."""

    def apply(self, agents: LocalAgents) -> int:
        """Return the id."""
        return os.getpid()


@pytest.fixture
def ray_driver(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Builds a driver over real actors with agents of a given class; ends them afterwards."""
    drivers: list[Driver] = []

    def build(experiment: Experiment, agents_class: type[LocalAgents] = LocalAgents) -> Driver:
        f = experiment.federation
        packed = groups(f.num_agents, f.agents_per_actor, cpus=2)
        backend = RayBackend(
            experiment.to_dict(),
            packed,
            requests=[{"CPU": 0.1}] * len(packed),
            timeout=f.round_timeout,
            channel=f.channel,
            build=agents_class,
        )
        drivers.append(Driver(experiment, directory=tmp_path / "run", backend=backend))
        return drivers[-1]

    yield build
    for driver in drivers:
        driver.close()


def ray_backend(driver: Driver) -> RayBackend:
    assert isinstance(driver.backend, RayBackend)
    return driver.backend


def process_ids(driver: Driver) -> list[Any]:
    return ray_backend(driver).call(range(len(driver.groups)), ProcessId())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Any]:
    """Summary of the small experiment in one process, which every disturbed run must equal."""
    from fedrl_ray.config.loading import from_dict
    from tests.support.small import SMALL

    return train(from_dict(SMALL), tmp_path_factory.mktemp("undisturbed") / "run")


@pytest.mark.parametrize("agents_per_actor", [1, 2, 5])
def test_ray_actors_and_late_replies_change_no_bit(
    small, tmp_path, ray_driver, undisturbed, agents_per_actor
):
    experiment = small(federation={"agents_per_actor": agents_per_actor})
    driver = ray_driver(experiment, LateAgents)
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


@pytest.mark.parametrize(("channel", "transport"), [("auto", DirectChannel), ("ray", RayMessages)])
def test_both_transports_give_the_same_digests(
    small, tmp_path, ray_driver, undisturbed, channel, transport
):
    experiment = small(federation={"agents_per_actor": 3, "channel": channel})
    driver = ray_driver(experiment, LateAgents)
    driver.backend.places(wait=True)
    used = [type(worker._transport) for worker in ray_backend(driver)._workers.values()]
    assert used == [transport, transport]
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


def test_a_worker_whose_channel_is_out_of_reach_gets_messages_of_ray(
    small, tmp_path, ray_driver, undisturbed, monkeypatch
):
    """A worker in a container may have a network of its own."""

    def out_of_reach(address: str) -> Any:
        raise FileNotFoundError(address)

    monkeypatch.setattr(transports, "connect", out_of_reach)
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment)
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


@pytest.mark.parametrize("channel", ["auto", "ray"])
def test_a_reply_that_nobody_received_is_not_taken_for_another(small, ray_driver, channel):
    driver = ray_driver(small(federation={"agents_per_actor": 3, "channel": channel}))
    order = RoundOrder.to(range(5), driver.server.shared)
    first, _ = process_ids(driver)
    driver.backend.run_round(order, [0, 1])  # given up before any reply was received
    assert ray_backend(driver).call([0], ProcessId()) == [first]
    replies = list(driver.backend.run_round(order, [0, 1]))
    assert [reply.agent_ids for reply in replies] == [(0, 1, 2), (3, 4)]


def test_an_interrupted_wait_leaves_no_reply_behind(small, ray_driver, monkeypatch):
    driver = ray_driver(small(federation={"agents_per_actor": 3}))
    order = RoundOrder.to(range(5), driver.server.shared)
    ids = process_ids(driver)
    with monkeypatch.context() as patched:
        patched.setattr(Channel, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(driver.backend.run_round(order, [0, 1]))
    assert process_ids(driver) == ids


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


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
    ray_backend(driver)._timeout = 5.0
    os.kill(hung, signal.SIGSTOP)
    after = run.advance()
    assert "agents 0-2 did not answer in time" in after.failures[0]
    ray_backend(driver)._timeout = 30.0
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


def test_an_exception_stops_the_run_with_its_traceback(small, tmp_path, ray_driver):
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment, BrokenAgents)
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
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    lives = ("started", "driver_died", "resumed")
    assert tuple(row["event"] for row in rows if row["event"] in lives) == lives
