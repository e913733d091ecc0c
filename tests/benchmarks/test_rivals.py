"""What the comparison with other libraries rests on: the Flower client learns by the same updates,
and ratios are taken within a repeat."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from algorithms.learners.fedrdqn import FedRDQN
from algorithms.types import Array, Params, Spec, Transition

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path += [str(BENCHMARKS), str(BENCHMARKS / "flower")]

from agent import Agent  # noqa: E402
from rivals_table import markdown, speed_ratios  # noqa: E402

BATCH = 16
SETTINGS = {
    "hidden_sizes": [32, 32], "batch_size": BATCH, "replay_capacity": BATCH, "learning_starts": 0,
    "learning_rate": 1e-3, "target_rate": 0.005, "epsilon": 0.1, "max_grad_norm": 1.0,
}  # fmt: skip


class OnGivenBatches(FedRDQN):
    """FedRDQN that updates on a minibatch of the test instead of one from its replay."""

    batch: Transition

    @property
    def replay(self) -> Any:
        return SimpleNamespace(add=lambda *_: None, sample=lambda *_: self.batch)


class EveryRow:
    """A generator whose minibatch is the whole replay, in order."""

    def integers(self, high: int, size: int) -> Array:
        return np.arange(size) % high


def load(agent: Agent, shared: Params) -> None:
    """A learner's parameters, [in, out], into torch's layers, [out, in]."""
    for name, network in agent.networks.items():
        arrays = [value[0] for key, value in shared.items() if key.startswith(f"{name}/")]
        for parameter, array in zip(network.parameters(), arrays, strict=True):
            value = torch.from_numpy(array)
            parameter.data.copy_(value.T if parameter.dim() == 2 else value[0])


def test_flower_client_updates_as_fedrdqn_does() -> None:
    learner = OnGivenBatches(
        FedRDQN.Config(**SETTINGS, omega=0.3),
        Spec(obs_size=4, num_actions=2, max_episode_steps=500),
        agent_ids=[0],
        seed=0,
    )
    agent = Agent(SETTINGS, pole_length=1.0, seed=[0])
    load(agent, learner.shared())
    agent.rng, agent.filled = EveryRow(), BATCH
    rng = np.random.default_rng(1)
    env: Any = SimpleNamespace(
        obs=np.zeros((1, 4), np.float32), finished=np.zeros(1, bool), step=lambda action: None
    )
    for _ in range(20):
        rows = rng.normal(size=(BATCH, 11)).astype(np.float32)
        rows[:, 4], rows[:, 10] = rng.integers(2, size=BATCH), rng.random(BATCH) < 0.2
        agent.replay.copy_(torch.from_numpy(rows))
        agent.update()
        ends = np.cumsum([4, 1, 1, 4])
        obs, action, reward, next_obs, terminated = np.split(rows[None], ends, axis=-1)
        learner.batch = Transition(obs, action, reward[..., 0], next_obs, terminated[..., 0])
        learner.step(env)
    probe = rng.normal(size=(1, 8, 4)).astype(np.float32)
    for name, network in agent.networks.items():
        ours = torch.from_numpy(learner.networks[name](probe))
        torch.testing.assert_close(network(torch.from_numpy(probe)), ours)


def test_flower_client_goes_on_from_what_it_kept() -> None:
    one = Agent(SETTINGS, pole_length=1.0, seed=[0, 1])
    for _ in range(30):
        one.step()
    other = Agent(SETTINGS, pole_length=1.0, seed=[0, 2])
    other.load_private({name: array.copy() for name, array in one.private().items()})
    other.networks.load_state_dict(one.networks.state_dict())
    one.rng, other.rng = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(3):
        one.step()
        other.step()
    kept, again = one.private(), other.private()
    assert kept.keys() == again.keys()
    for name, array in kept.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def run(program: str, repeat: int, seconds: list[float]) -> dict[str, object]:
    return {"environment": "cartpole", "K": 10, "program": program, "repeat": repeat,
            "steps_per_round": 1000, "round_s": seconds}  # fmt: skip


def test_ratios_are_taken_within_a_repeat_and_the_table_shows_their_range() -> None:
    ours = [run("fedrl-ray", 0, [0.1, 0.3]), run("fedrl-ray", 1, [0.4])]
    theirs = [run("Flower", 0, [2.0]), run("Flower", 1, [1.0, 3.0])]
    assert speed_ratios(ours, theirs) == pytest.approx([10.0, 5.0])
    table = markdown({"runs": ours + theirs, "problems": {"RLlib": "no such package"}})
    assert "| cartpole, K = 10 | Flower | 500 [500, 500] | 2.000 [2.000, 2.000] |" in table
    assert "7.5 [5.0, 10.0] |" in table
    assert "RLlib was not measured: no such package" in table
