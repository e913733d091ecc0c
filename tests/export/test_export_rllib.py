"""Runs of RLlib's algorithms are exported with the RLModule that they trained."""

from __future__ import annotations

import contextlib
import json
import re

import numpy as np
import pytest
import torch

from fedrl_ray.export.trained import read_trained
from tests.rllib.test_rllib_learner import small
from tests.support.export_runs import FORMATS
from tests.support.malformed_place import fedrl, require_refusal
from tests.support.runs import train

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]
THOROUGH = ["DQN", "robust DQN", "SAC", "robust SAC", "APPO"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, local_ray):
    """Return a function that trains each run on demand, and once."""
    root, found = tmp_path_factory.mktemp("rllib"), {}

    def run_of(name):
        if name not in found:
            train(experiment(name), root / name)
            found[name] = root / name
        return found[name]

    return run_of


def experiment(name):
    robust = {"learner": {"omega": 0.3}} if name.startswith("robust ") else {}
    return small(name.removeprefix("robust "), **robust)


@pytest.mark.parametrize(
    ("name", "to"),
    [
        *[("PPO", to) for to in ("rllib", "torch")],
        pytest.param("PPO", "onnx", marks=pytest.mark.slow),
        *[pytest.param(n, to, marks=pytest.mark.slow) for n in THOROUGH for to in FORMATS],
    ],
)
def test_an_export_acts_as_the_module_does(runs, tmp_path, name, to):
    """The code in the README and `evaluate` give the actions and returns of the run."""
    run, out = runs(name), tmp_path / "out"
    ended = fedrl("export", run, out, "--to", to, "--json")
    assert ended.status == 0 and not ended.err, ended
    card = json.loads(ended.out)
    assert card["learner"]["algorithm"] == name.removeprefix("robust ")
    assert card["federation"]["steps"] == experiment(name).federation.steps
    (block,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    size = 3 if name.endswith("SAC") else 4
    obs = np.random.default_rng(1).normal(size=(50, size)).astype(np.float32)
    given = obs if to == "onnx" else torch.from_numpy(obs)
    block = re.sub(r"^obs = .*$", "obs = given", block, flags=re.MULTILINE)
    names = {"given": given}
    with contextlib.chdir(out):
        exec(compile(block, "README.md", "exec"), names)
    action = names["action"]
    action = action if isinstance(action, np.ndarray) else action.detach().numpy()
    np.testing.assert_allclose(action, read_trained(run, None).act(obs), atol=1e-5)
    scored = fedrl("evaluate", out, "--config", run / "config.yaml", "--trust-pickle", "--json")
    wanted = json.loads(fedrl("evaluate", run, "--json").out)
    returns = json.loads(scored.out)["episode_returns"]
    np.testing.assert_allclose(returns, wanted["episode_returns"], rtol=1e-2)


@pytest.mark.slow
def test_a_module_whose_actions_rllib_would_scale_otherwise_is_no_rlmodule(tmp_path):
    run = tmp_path / "run"
    train(small("SAC", learner={"config": {"normalize_actions": False}}), run)
    refused = fedrl("export", run, tmp_path / "out", "--to", "rllib")
    require_refusal(refused)
    assert "normalize_actions" in refused.err and not (tmp_path / "out").exists()
    assert fedrl("export", run, tmp_path / "out", "--to", "torch").status == 0
