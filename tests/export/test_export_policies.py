"""`evaluate` scores policies of any origin on a test grid, and refuses those that do not fit."""

from __future__ import annotations

import base64
import itertools
import json
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from algorithms.types import Spec
from fedrl_ray.export.readers import rl_module_policy
from fedrl_ray.export.readers.reading import read_policy
from fedrl_ray.vector_envs.actions import encoding_of_spec
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from tests.support.export_runs import experiment, trained_run
from tests.support.foreign_policies import SCORES, WEIGHT, Touches, onnx_file
from tests.support.malformed_place import fedrl, require_refusal
from tests.support.small import SMALL, merged

CARTPOLE = Spec(obs_size=4, num_actions=2, max_episode_steps=500)
PENDULUM = Spec(obs_size=3, action_low=(-2.0,), action_high=(2.0,), max_episode_steps=200)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "cartpole.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, {"evaluation": {"grid": 3, "episodes": 2}})))
    return path


def config_of(path: Path, kind: str) -> Path:
    path.write_text(yaml.safe_dump(experiment(kind).to_dict()))
    return path


def test_an_onnx_file_from_elsewhere_gets_the_figures_a_run_gets(config, tmp_path):
    """The oracle acts in the nominal environment, Gymnasium's own CartPole."""
    policy = onnx_file(tmp_path / "p.onnx")
    ended = fedrl("evaluate", policy, "--config", config, "--json")
    assert ended.status == 0 and not ended.err, ended
    figures = json.loads(ended.out)
    assert figures["dynamics"]["pole_length"] == [0.5, 1.0, 1.5]
    assert np.shape(figures["episode_returns"]) == (3, 2)
    assert figures["average"] == pytest.approx(np.mean(figures["returns"]))
    assert figures["worst"] == min(figures["returns"])
    assert figures["episode_returns"][1] == [_played(episode) for episode in range(2)]
    shown = fedrl("evaluate", policy, "--config", config)
    assert f"{figures['worst']:.2f}" in shown.out and "pole_length" in shown.out


def _played(episode: int) -> float:
    """Return the length of an episode in the nominal environment, the second of the grid."""
    seeds = EpisodeSeeds.of_grid(0, [1], 2)
    env = gymnasium.make("CartPole-v1")
    obs, _ = env.reset(seed=seeds.seed(episode, episode))
    for steps in itertools.count(1):
        obs, _, terminated, truncated, _ = env.step(int((obs @ WEIGHT).argmax()))
        if terminated or truncated:
            return steps


def test_evaluation_may_be_set_and_training_may_not(config, tmp_path):
    policy = onnx_file(tmp_path / "p.onnx")
    command = ["evaluate", policy, "--config", config, "--json", "--set"]
    assert len(json.loads(fedrl(*command, "evaluation.grid=5").out)["returns"]) == 5
    wider = fedrl(*command, "environment.perturb={gravity: 0.2}")
    assert "gravity" in json.loads(wider.out)["dynamics"]
    refused = fedrl(*command, "learner.omega=0.1")
    require_refusal(refused)
    assert "--set learner.omega" in refused.err


def test_scores_are_as_good_as_the_number_of_an_action(tmp_path):
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT)
    ends = (("batch", 4), ("batch", 2))
    scores = onnx_file(tmp_path / "s.onnx", SCORES, ends=ends, kinds=kinds)
    obs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    acts = [
        read_policy(path, CARTPOLE, trust_pickle=False)(obs)
        for path in (scores, onnx_file(tmp_path / "p.onnx"))
    ]
    assert acts[0].tolist() == acts[1].tolist() == (obs @ WEIGHT).argmax(1).tolist()


def _external() -> Any:
    weight = numpy_helper.from_array(WEIGHT, "weight")
    set_external_data(weight, "../../etc/passwd")
    weight.ClearField("raw_data")
    return weight


FLOAT = (TensorProto.FLOAT, TensorProto.FLOAT)
MISFITS = {
    "must take observations of 3 numbers": ("continuous", {}),
    "its input must be tensor(int64), a state": ("tabular", {}),
    "must hold its weights": ("discrete", {"weight": _external()}),
    "the first axis of its input must be dynamic": ("discrete", {"ends": ((1, 4), (1,))}),
    "must have one input": ("discrete", {"inputs": ("obs", "other")}),
    "must have one output called action": (
        "discrete",
        {"outputs": ("a", "b"), "nodes": [helper.make_node(
            "ArgMax", ["obs"], [name], axis=1, keepdims=0) for name in "ab"]},
    ),
    "must return 2 scores or an action number": (
        "discrete",
        {"nodes": SCORES, "kinds": FLOAT, "ends": (("batch", 4), ("batch", 3)),
         "weight": numpy_helper.from_array(np.eye(4, 3, dtype=np.float32), "weight")},
    ),
    "must return 1 numbers as the action": (
        "continuous",
        {"nodes": SCORES, "kinds": FLOAT, "ends": (("batch", 3), ("batch", 2)),
         "weight": numpy_helper.from_array(np.eye(3, 2, dtype=np.float32), "weight")},
    ),
    "must return finite actions": (
        "continuous",
        {"nodes": SCORES, "kinds": FLOAT, "ends": (("batch", 3), ("batch", 1)),
         "weight": numpy_helper.from_array(np.full((3, 1), np.nan, np.float32), "weight")},
    ),
    "must return actions from 0 to 1": (
        "discrete",
        {"weight": numpy_helper.from_array(np.eye(4, 9, 5, np.float32)
                                           - np.eye(4, 9, dtype=np.float32), "weight")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", MISFITS)
def test_an_onnx_file_that_does_not_fit_is_refused(tmp_path, words):
    kind, changes = MISFITS[words]
    policy = onnx_file(tmp_path / "p.onnx", **changes)
    config = config_of(tmp_path / "c.yaml", kind)
    ended = fedrl("evaluate", policy, "--config", config)
    require_refusal(ended)
    assert words in ended.err, ended


def test_mistakes_of_the_command_are_one_line(config, tmp_path):
    policy = onnx_file(tmp_path / "p.onnx")
    (tmp_path / "empty").mkdir()
    (tmp_path / "p.bin").touch()
    agents = ["--set", "evaluation.where=agents"]
    for arguments, words in [
        ((policy,), "needs --config"),
        ((tmp_path / "none.onnx", "--config", config), "no such file or folder"),
        ((tmp_path / "empty", "--config", config), "neither a run directory nor a policy"),
        ((tmp_path / "p.bin", "--config", config), "neither a run directory nor a policy"),
        ((policy, "--config", tmp_path / "none.yaml"), "none.yaml"),
        ((policy, "--config", config, *agents), "evaluation.where: must be driver; got 'agents'"),
    ]:
        ended = fedrl("evaluate", *arguments)
        require_refusal(ended)
        assert words in ended.err, ended


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("p.onnx", "onnxruntime", "export"), ("p.zip", "stable_baselines3", "sb3")],
)
def test_a_package_that_is_missing_is_named(config, tmp_path, monkeypatch, name, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.common.save_util", None)
    (tmp_path / name).touch()
    ended = fedrl("evaluate", tmp_path / name, "--config", config, "--trust-pickle")
    require_refusal(ended)
    assert f"pip install 'fedrl-ray[{extra}]'" in ended.err


def test_a_run_takes_neither_config_nor_trust(config, tmp_path):
    run = trained_run(tmp_path / "run", "tabular")
    for option in (["--config", config], ["--trust-pickle"]):
        ended = fedrl("evaluate", run, *option)
        require_refusal(ended)
        assert f"{option[0]}: applies to policies" in ended.err


def rl_module(folder: Path, mark: Path) -> Path:
    folder.mkdir()
    (folder / "class_and_ctor_args.pkl").write_bytes(pickle.dumps(Touches(mark)))
    return folder


def torch_program(path: Path, mark: Path) -> Path:
    """Write a valid program, except that its example inputs are another pickle."""
    program = torch.export.export(torch.nn.Linear(4, 2), (torch.zeros(1, 4),))
    torch.export.save(program, path.with_suffix(".good"))
    torch.save(Touches(mark), path.with_suffix(".pickle"))
    with (
        zipfile.ZipFile(path.with_suffix(".good")) as good,
        zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bad,
    ):
        for name in good.namelist():
            inside = "sample_inputs" in name and name.endswith(".pt")
            content = path.with_suffix(".pickle").read_bytes() if inside else good.read(name)
            bad.writestr(name.replace("p.good", "p"), content)
    return path


def sb3_zip(path: Path, mark: Path) -> Path:
    text = base64.b64encode(pickle.dumps(Touches(mark))).decode()
    data = {"policy_class": {":type:": "x", ":serialized:": text}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("make", "name"), [(rl_module, "module"), (torch_program, "p.pt2"), (sb3_zip, "p.zip")]
)
def test_pickles_are_read_only_where_the_user_trusts_them(config, tmp_path, make, name):
    mark = tmp_path / "executed"
    policy = make(tmp_path / name, mark)
    command = ["evaluate", policy, "--config", config]
    refused = fedrl(*command)
    require_refusal(refused)
    assert "--trust-pickle" in refused.err and not mark.exists()
    trusted = fedrl(*command, "--trust-pickle")
    require_refusal(trusted)
    assert "cannot be read as" in trusted.err
    assert mark.exists(), "the file was not unpickled"


@pytest.mark.parametrize("name", ["p.pt2", "p.zip", "p.onnx", "module"])
@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x80\x05."])
def test_files_of_other_kinds_are_refused(config, tmp_path, name, content):
    path = tmp_path / name
    if name == "module":
        path.mkdir()
        (path / "class_and_ctor_args.pkl").write_bytes(content)
    else:
        path.write_bytes(content)
    ended = fedrl("evaluate", path, "--config", config, "--trust-pickle")
    require_refusal(ended)
    assert "cannot be read as" in ended.err


MODELS = [("PPO", "CartPole-v1", CARTPOLE), ("DQN", "CartPole-v1", CARTPOLE),
          ("PPO", "Pendulum-v1", PENDULUM), ("SAC", "Pendulum-v1", PENDULUM),
          ("TD3", "Pendulum-v1", PENDULUM)]  # fmt: skip


@pytest.mark.parametrize(("algorithm", "env", "spec"), MODELS)
def test_a_stable_baselines3_zip_acts_as_its_model(tmp_path, algorithm, env, spec):
    import stable_baselines3

    model = getattr(stable_baselines3, algorithm)("MlpPolicy", env, device="cpu")
    model.save(tmp_path / "model.zip")
    act = read_policy(tmp_path / "model.zip", spec, trust_pickle=True)
    obs = np.random.default_rng(0).normal(size=(50, spec.obs_size)).astype(np.float32)
    np.testing.assert_array_equal(act(obs), model.predict(obs, deterministic=True)[0])


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("folder", ["", "default_policy"])
def test_rllibs_own_module_acts_as_rllib_evaluates_it(tmp_path, env, folder):
    """The oracle is RLlib's env runner with its connectors, without exploration."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module import MultiRLModule
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    config = PPOConfig().environment(env).env_runners(num_env_runners=0)
    runner = SingleAgentEnvRunner(config=config)
    episode = runner.sample(num_timesteps=40, explore=False)[0]
    obs = np.array(episode.get_observations()[:-1], dtype=np.float32)
    actions = np.array(episode.get_actions())
    modules = MultiRLModule()
    modules.add_module("default_policy", runner.module)
    modules.save_to_path(str(tmp_path / "modules"))
    spec = CARTPOLE if env == "CartPole-v1" else PENDULUM
    act = rl_module_policy.read(tmp_path / "modules" / folder, spec, encoding_of_spec(spec))
    if spec.kind == "continuous":  # RLlib keeps the actions that it scales for the environment
        actions = (2 * actions).clip(-2, 2)
    np.testing.assert_allclose(act(obs), actions, atol=1e-5)
    runner.stop()
