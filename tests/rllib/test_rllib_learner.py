"""`learner: {name: rllib}`: training, the laws that it keeps, and refused keys."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from fedrl_ray.cli import main
from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.export.evaluate import evaluate_run
from fedrl_ray.rllib.trees import from_arrays, to_arrays
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.runs import digests, train
from tests.support.small import merged

NETWORK = {"fcnet_hiddens": [8, 8]}
REPLAY = {"num_steps_sampled_before_learning_starts": 6, "train_batch_size_per_learner": 8}
OFF_POLICY = ("DQN", "SAC")
LEARNERS: dict[str, dict[str, Any]] = {
    "PPO": {
        "config": {
            "minibatch_size": 20,
            "num_epochs": 2,
            "num_envs_per_env_runner": 2,
            "entropy_coeff": [[0, 0.1], [100, 0.0]],
            "model_config": NETWORK,
        }
    },
    "DQN": {
        "omega": 0.3,
        "config": REPLAY
        | {
            "model_config": NETWORK,
            "epsilon": [[0, 1.0], [30, 0.1]],
            "target_network_update_freq": 8,
            "replay_buffer_config": {
                "type": "PrioritizedEpisodeReplayBuffer",
                "capacity": 16,
                "alpha": 0.6,
                "beta": 0.4,
            },
        },
    },
    "SAC": {
        "config": REPLAY
        | {
            "model_config": NETWORK,
            "replay_buffer_config": {"type": "EpisodeReplayBuffer", "capacity": 16},
        }
    },
    "IMPALA": {"config": {"model_config": NETWORK}},
    "APPO": {"config": {"model_config": NETWORK}},
}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "PPO": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "DQN": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "SAC": {"name": "pendulum", "perturb": {"mass": 0.5}},
    "IMPALA": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "APPO": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
}


def small(algorithm: str, **changes: Any) -> Experiment:
    """Return two agents and two rounds of 40 steps (off-policy: 20), in this process."""
    steps = 20 if algorithm in OFF_POLICY else 40
    federation = {"num_agents": 2, "steps": 2 * steps, "sync_interval": steps}
    base = {
        "federation": federation | {"backend": "in_process"},
        "learner": {"name": "rllib", "algorithm": algorithm, **LEARNERS[algorithm]},
        "environment": changes.pop("environment", ENVIRONMENTS[algorithm]),
        "evaluation": {"every": None, "grid": 3, "episodes": 1},
        "checkpoint": {"every": steps},
    }
    return from_dict(merged(base, changes))


@pytest.fixture(autouse=True)
def _ray(local_ray: None) -> Iterator[None]:
    """Every Algorithm puts its configuration into an object store."""
    yield


EXACT = ("PPO", "DQN", "SAC")


@pytest.mark.parametrize("algorithm", EXACT)
def test_packing_and_resuming_change_no_bit(algorithm: str, tmp_path: Path) -> None:
    """Agents that run together equal agents that run apart, stop, resume together and restore."""
    together = train(small(algorithm), tmp_path / "together")
    assert together["exemptions"] == {}
    stopped = Run(small(algorithm, federation={"agents_per_actor": 1}), tmp_path / "stopped")
    stopped.advance()
    stopped.close()
    resumed = Run(small(algorithm), tmp_path / "stopped", resume=True)
    assert resumed.driver.server.round == 1
    resumed.driver.step()
    resumed.driver.restore_newest()
    assert resumed.driver.server.round == 1
    list(resumed)
    assert digests(resumed.finish()) == digests(together)
    resumed.close()
    require_losses(tmp_path / "stopped")


def require_losses(directory: Path) -> None:
    """Assert that both agents logged finite losses in the last round."""
    (*_, row) = read_rows(directory / METRICS)
    losses = [values for name, values in row["agents"].items() if "loss" in name]
    assert losses and np.isfinite(losses).all() and len(losses[0]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
def test_algorithms_with_a_thread_of_their_own_train_and_name_their_exemptions(
    algorithm: str, tmp_path: Path
) -> None:
    summary = train(small(algorithm, learner={"iteration_steps": 10}), tmp_path)
    assert summary["exemptions"].keys() == {"packing", "resume"}
    require_losses(tmp_path)


def test_an_interval_is_counted_in_steps_or_in_iterations(tmp_path: Path) -> None:
    in_steps = small("PPO", learner={"iteration_steps": 20})
    unit = {"iteration_steps": 20, "interval_unit": "iterations"}
    in_iterations = small("PPO", learner=unit, federation={"sync_interval": 2})
    assert in_iterations.round_steps == in_steps.round_steps == 40
    assert in_iterations.rounds == 2
    summary = train(in_iterations, tmp_path / "iterations")
    assert summary["steps"] == 80 and summary["agent_steps"] == 160
    assert digests(train(in_steps, tmp_path / "steps")) == digests(summary)
    again = evaluate_run(tmp_path / "iterations", [])
    assert again.average == summary["evaluation"]["average"]


@pytest.mark.slow
def test_workers_learn_on_an_environment_registered_with_tune(tmp_path: Path) -> None:
    """Processes that did not register the name find it, and learn the same bits as one process."""
    from ray.tune.registry import register_env

    register_env("heavy-pendulum", lambda config: gymnasium.make("Pendulum-v1", g=config["g"]))
    environment = {
        "name": "gymnasium",
        "id": "heavy-pendulum",
        "kwargs": {"g": 12.0},
        "parameters": {"mass": {"target": "unwrapped.m"}},
        "perturb": {"mass": 0.5},
    }
    here = small("PPO", environment=environment)
    there = small(
        "PPO", environment=environment, federation={"backend": "ray", "agents_per_actor": 1}
    )
    assert digests(train(there, tmp_path / "there")) == digests(train(here, tmp_path / "here"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "PPP"}, "learner.algorithm: RLlib has no 'PPP' (did you mean 'PPO'?)"),
        ({"algorithm": "MARWIL"}, "learner.algorithm: MARWIL learns from recorded episodes"),
        ({"config": {"gama": 0.9}}, "learner.config.gama: unknown key (did you mean 'gamma'?)"),
        ({"config": {"num_env_runners": 2}}, "num_env_runners: cannot be set in an exp"),
        (
            {"config": {"train_batch_size_per_learner": 9}},
            "size_per_learner: cannot be set in an exp",
        ),
        ({"config": {"gamma": [object()]}}, "learner.config.gamma: must be made of null, true"),
        ({"config": {"minibatch_size": 100}}, "learner.config: `minibatch_size` (100) must be"),
        (
            {"config": {"model_config": {"use_lstm": True}}},
            "use_lstm: must be false, because a local",
        ),
        ({"config": {"model_config": {"hiddens": [8]}}}, "model_config.hiddens: unknown key"),
        ({"config": {"gamma": "high"}}, "learner.config.gamma: must be a number, or a schedule"),
        ({"config": {"lr": [1, 2]}}, "learner.config.lr: must be a number, or a schedule"),
        ({"config": {"num_epochs": 1.5}}, "learner.config.num_epochs: must be a whole number; got"),
        ({"iteration_steps": 30}, "learner.iteration_steps: must divide federation.sync_interval"),
        ({"interval_unit": "iterations"}, "got 40 (40000 local steps)"),
        ({"omega": 0.3}, "learner.algorithm: must be DQN or SAC for a robust target; got PPO"),
        ({"omega": 1.3}, "learner.omega: must be less than or equal to 1; got 1.3"),
    ],
)
def test_a_mistake_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as refusal:
        small("PPO", learner=changes)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_tree_comes_back_from_arrays_as_it_was() -> None:
    tree = {
        "a": [1, 2.5, None, "x", (True, {"deep": np.arange(3, dtype=np.float32)})],
        3: {"tensor": torch.arange(4), "scalar": np.float64(0.1), "many": list(range(40))},
        "b/c": [],
        "inf": float("inf"),
    }
    arrays = to_arrays(tree)
    assert all(isinstance(x, np.ndarray) for x in arrays.values())
    back = from_arrays(arrays)
    assert list(back) == ["a", 3, "b/c", "inf"] and back["inf"] == float("inf")
    assert back["a"][:4] == tree["a"][:4] and back["a"][4][0] is True  # type: ignore[index]
    deep = back["a"][4][1]["deep"]
    assert deep.dtype == np.float32 and deep.tolist() == [0, 1, 2]
    assert torch.equal(back[3]["tensor"], torch.arange(4))
    assert type(back[3]["scalar"]) is np.float64 and back[3]["scalar"] == 0.1
    assert back[3]["many"] == list(range(40)) and back["b/c"] == []


def test_what_no_array_can_hold_is_not_stored() -> None:
    with pytest.raises(RunError, match=r"holds a object at a\.0, which is not saved"):
        to_arrays({"a": [object()]})


def test_the_commands_of_the_page_run_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And put the three methods side by side."""
    root = Path(__file__).parents[2]
    (tmp_path / "tune_configs").symlink_to(root / "tune_configs")
    page = (root / "docs" / "rllib.md").read_text(encoding="utf-8")
    section = page[page.index("## Training") :].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines]
    assert [words[1] for words in commands] == ["describe", *["train"] * 3, "report"]
    monkeypatch.chdir(tmp_path)
    for words in commands:
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main.main()
        assert end.value.code in (0, None)
    text = (tmp_path / "side-by-side.html").read_text(encoding="utf-8")
    assert "PPO (RLlib)" in text and "DQNAvg" in text and "E 500" in text
