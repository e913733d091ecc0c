"""The robust target in RLlib: in an Algorithm, in the documentation's example, in a federation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.rllib.algorithms.dqn.dqn import DQNConfig
from ray.rllib.algorithms.sac.sac import SACConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import LEARNER_RESULTS

from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.rllib.robust import robust
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.federations import same_bits
from tests.support.rllib_learners import MODEL
from tests.support.runs import digests, train

TRAINED = {
    "CartPole-v1": DQNConfig().training(train_batch_size_per_learner=16),
    "Pendulum-v1": SACConfig().training(train_batch_size_per_learner=16),
}


def prepared(environment: str) -> Any:
    """Return a config that learns after ten steps, in this process."""
    config = TRAINED[environment].copy()
    config.environment(environment).env_runners(num_env_runners=0).debugging(seed=1)
    config.training(num_steps_sampled_before_learning_starts=10)
    config.reporting(min_sample_timesteps_per_iteration=40)
    config.rl_module(model_config=MODEL)
    return robust(config, omega=0.3, expectile=0.05)


@pytest.mark.parametrize("environment", TRAINED)
def test_an_algorithm_trains_saves_and_goes_on(
    local_ray: None, environment: str, tmp_path: Path
) -> None:
    algorithm = prepared(environment).build_algo()
    before = weights_of(algorithm)
    results = algorithm.train()[LEARNER_RESULTS][DEFAULT_MODULE_ID]
    assert results["degree_loss"] > 0
    assert np.isfinite(results["degree_gap"])
    after = weights_of(algorithm)
    assert all(not np.array_equal(x, before[k]) for k, x in after.items() if "net" in k)
    path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    restored = type(algorithm).from_checkpoint(path)
    assert same_bits(weights_of(restored), after)
    assert optimiser_names(restored) == optimiser_names(algorithm)
    assert restored.train()[LEARNER_RESULTS][DEFAULT_MODULE_ID]["degree_loss"] > 0
    assert not same_bits(weights_of(restored), after)
    for one in (algorithm, restored):
        one.stop()


def weights_of(algorithm: Any) -> dict[str, Any]:
    """Return the weights of the degree network, which a federation would average."""
    state = algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID]
    return {name: np.array(x) for name, x in state.items() if name.startswith("degree.")}


def optimiser_names(algorithm: Any) -> set[str]:
    """Return the optimizers with moments in the learner's state."""
    state = algorithm.learner_group.get_state()["learner"]["optimizer"]
    return {name for name, one in state.items() if one["state"]["state"]}


def test_the_example_of_the_documentation_runs(local_ray: None, capsys: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rllib.md").read_text(encoding="utf-8")
    section = page[page.index("## The robust target in RLlib") :]
    exec(section.split("```python\n")[1].split("```")[0], {})
    degree_loss, degree_gap = map(float, capsys.readouterr().out.split()[-2:])
    assert degree_loss > 0
    assert np.isfinite(degree_gap)


ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "DQN": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "SAC": {"name": "pendulum", "perturb": {"mass": 0.5}},
}


def federation(algorithm: str, **changes: Any) -> Experiment:
    """Return an experiment with two agents and two rounds of 30 steps."""
    replay = {"num_steps_sampled_before_learning_starts": 10, "train_batch_size_per_learner": 8}
    return from_dict(
        {
            "federation": {
                "num_agents": 2,
                "steps": 60,
                "sync_interval": 30,
                "backend": "in_process",
                **changes,
            },
            "learner": {
                "name": "rllib",
                "algorithm": algorithm,
                "omega": 0.3,
                "config": {"model_config": {"fcnet_hiddens": [8]}, **replay},
            },
            "environment": ENVIRONMENTS[algorithm],
            "evaluation": {"every": None, "grid": 3, "episodes": 1},
            "checkpoint": {"every": 30},
        }
    )


def test_a_federation_averages_the_degree_network(local_ray: None, tmp_path: Path) -> None:
    run = Run(federation("DQN"), tmp_path / "run")
    before = degree(run)
    run.advance()
    assert len(before) == 4
    assert all(not np.array_equal(x, before[name]) for name, x in degree(run).items())
    run.close()
    (row,) = read_rows(tmp_path / "run" / METRICS)
    assert min(row["agents"]["degree_loss"]) > 0
    assert np.isfinite(row["agents"]["degree_gap"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ENVIRONMENTS)
def test_robust_agents_are_packed_and_resumed_without_changing_a_bit(
    local_ray: None, algorithm: str, tmp_path: Path
) -> None:
    """Agents that run together equal agents that run apart, stop and resume together."""
    together = train(federation(algorithm), tmp_path / "together")
    stopped = Run(federation(algorithm, agents_per_actor=1), tmp_path / "stopped")
    stopped.advance()
    stopped.close()
    resumed = Run(federation(algorithm), tmp_path / "stopped", resume=True)
    list(resumed)
    assert digests(resumed.finish()) == digests(together)
    resumed.close()


def degree(run: Run) -> dict[str, Any]:
    """Return the parameters of the global degree network."""
    shared = run.driver.server.shared
    found = {name: np.array(x) for name, x in shared.items() if name.startswith("degree.")}
    return {name: x for name, x in found.items() if ".net." in name}
