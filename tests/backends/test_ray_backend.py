"""The laws of a run with Ray workers: packing, both transports, late and broken replies."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder, RoundReply
from fedrl_ray.backends import transports
from fedrl_ray.backends.channel import Channel
from fedrl_ray.backends.transports import DirectChannel, RayMessages
from fedrl_ray.common.errors import RunError
from tests.support.ray_drivers import ProcessId, process_ids, ray_backend
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


@pytest.mark.parametrize("agents_per_actor", [1, 2, 5])
def test_ray_actors_and_late_replies_change_no_bit(
    small, tmp_path, ray_driver, undisturbed, agents_per_actor
):
    experiment = small(federation={"agents_per_actor": agents_per_actor})
    driver = ray_driver(experiment, LateAgents)
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)


@pytest.mark.parametrize(("channel", "transport"), [("auto", DirectChannel), ("ray", RayMessages)])
def test_both_transports_give_the_same_digests(
    small, tmp_path, ray_driver, undisturbed, monkeypatch, channel, transport
):
    used = set()
    for kind in (DirectChannel, RayMessages):

        def send(self: Any, request: Any, original: Any = kind.send) -> None:
            used.add(type(self))
            original(self, request)

        monkeypatch.setattr(kind, "send", send)
    experiment = small(federation={"agents_per_actor": 3, "channel": channel})
    assert experiment.fingerprint() == small().fingerprint()
    driver = ray_driver(experiment, LateAgents)
    assert digests(train(experiment, tmp_path / "run", driver)) == digests(undisturbed)
    assert used == {transport}


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


def test_an_exception_stops_the_run_with_its_traceback(small, tmp_path, ray_driver):
    experiment = small(federation={"agents_per_actor": 3})
    driver = ray_driver(experiment, BrokenAgents)
    with pytest.raises(RunError, match="ValueError: sensor 7 gives no reading") as error:
        train(experiment, tmp_path / "run", driver)
    assert str(error.value).startswith("agents 0-2 raised")
