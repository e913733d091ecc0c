"""Exported policies act in the environment's own action space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from algorithms.policies import ContinuousPolicy, DiscretePolicy, GreedyPolicy
from algorithms.types import Spec
from fedrl_ray.export.agreement import require_agreement
from fedrl_ray.export.card import describe_spaces
from fedrl_ray.export.formats import FORMATS
from fedrl_ray.vector_envs.actions import encoding_of
from tests.support.odd_envs import SPACES, in_space

SIZE = 3


def policy_of(name: str) -> tuple[GreedyPolicy, Spec]:
    """Return a random policy for a space, and the spec that its learner sees."""
    actions = encoding_of(SPACES[name])
    torch.manual_seed(0)
    if actions.num_actions:
        policy: GreedyPolicy = DiscretePolicy([SIZE, 8, actions.num_actions])
        return policy, Spec(obs_size=SIZE, num_actions=actions.num_actions, max_episode_steps=9)
    policy = ContinuousPolicy([SIZE, 8, len(actions.low)], actions.low, actions.high)
    bounds = {"action_low": actions.low, "action_high": actions.high}
    return policy, Spec(obs_size=SIZE, **bounds, max_episode_steps=9)


@pytest.mark.parametrize(
    "name",
    ["from -1", "valves from 1", "switches", "narrow", "pump", "half", "relays", "notch"],
)
@pytest.mark.parametrize("to", FORMATS)
def test_an_export_acts_in_the_space_and_reads_back(name: str, to: str, tmp_path: Path) -> None:
    actions = encoding_of(SPACES[name])
    policy, spec = policy_of(name)
    FORMATS[to].write(tmp_path, policy, spec, actions)
    obs = np.random.default_rng(1).normal(size=(40, SIZE)).astype(np.float32) * 5
    own = raw_output(to, tmp_path, obs)
    wanted = actions.decode(policy(torch.from_numpy(obs)).detach().numpy())
    assert own.dtype == SPACES[name].dtype and own.shape == wanted.shape
    np.testing.assert_allclose(own.astype(float), wanted.astype(float), rtol=0, atol=1e-3)
    assert all(in_space(SPACES[name], one) for one in own)
    read = FORMATS[to].read(tmp_path, spec, actions)(obs)
    assert np.array_equal(actions.decode(read), own)

    def trained(states: Any) -> Any:
        return policy(torch.from_numpy(states)).detach().numpy()

    found = require_agreement(
        trained, lambda _: read, policy, obs, spec, resolution=actions.resolution
    )
    assert found.equal == len(obs)


def raw_output(to: str, folder: Path, obs: Any) -> Any:
    """Return what a program gets that follows the model card."""
    if to == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(folder / "policy.onnx"))
        return session.run(["action"], {"obs": obs})[0]
    if to == "torch":
        return (
            torch.export.load(folder / "policy.pt2")
            .module()(torch.from_numpy(obs))
            .detach()
            .numpy()
        )
    from ray.rllib.core.rl_module.rl_module import RLModule

    module = RLModule.from_checkpoint(str(folder.absolute()))
    output = module.forward_inference({"obs": torch.from_numpy(obs)})
    return output["actions_for_env"].detach().numpy()


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("from -1", {"dtype": "int64", "shape": ["batch"], "count": 3, "low": -1, "high": 1}),
        (
            "valves from 1",
            {"dtype": "int64", "shape": ["batch", 2], "combinations": 6, "low": [1, -1],
             "high": [2, 1]},
        ),
        ("narrow", {"dtype": "float64", "shape": ["batch", 1], "low": [-0.1], "high": [0.1]}),
        ("pump", {"dtype": "int64", "shape": ["batch", 1], "low": [0], "high": [3]}),
        ("single", {"dtype": "float32", "shape": ["batch", 2, 1]}),
    ],
)  # fmt: skip
def test_the_model_card_states_type_shape_and_numbering(name: str, facts: dict[str, Any]) -> None:
    said = describe_spaces(policy_of(name)[1], encoding_of(SPACES[name]))["action"]
    assert {key: said[key] for key in facts} == facts
