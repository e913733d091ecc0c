"""Schemas are strict: only a number is read as a number, and every error is one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from algorithms.learners.fedrddpg import FedRDDPG
from algorithms.learners.fedrdqn import FedRDQN
from algorithms.learners.fedrq import FedRQ
from fedrl_ray.common.errors import UserError
from fedrl_ray.config.validation_errors import explain_violation
from fedrl_ray.environments.cartpole import CartPole
from fedrl_ray.environments.gymnasium import Gymnasium
from fedrl_ray.environments.random_mdp import RandomMDP
from fedrl_ray.environments.windy_cliff import WindyCliff


def refusal(model: type[BaseModel], **keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model(**keys)
    message = explain_violation(caught.value, model, prefix="section")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"omega": True}, "section.omega: must be a valid number; got True"),
        ({"omega": "0.3"}, "section.omega: must be a valid number; got '0.3'"),
        ({"omega": [0.1, "0.2"]}, "section.omega.1: must be a valid number; got '0.2'"),
        ({"omega": [0.1, 2]}, "section.omega.1: must be less than or equal to 1; got 2"),
        ({"epsilon": "1"}, "section.epsilon: must be a valid number; got '1'"),
        (
            {"epsilon": {"start": True, "end": 0.1, "steps": 5}},
            "section.epsilon.start: must be a valid number; got True",
        ),
        ({"batch_size": "16"}, "section.batch_size: must be a valid integer; got '16'"),
        ({"batch_size": 16.5}, "section.batch_size: must be a valid integer; got 16.5"),
        ({"target_period": True}, "section.target_period: must be a valid integer; got True"),
        ({"hidden_sizes": [64, True]}, "section.hidden_sizes.1: must be a valid integer"),
        ({"hidden_sizes": 64}, "section.hidden_sizes: must be a valid tuple; got 64"),
        ({"max_grad_norm": "none"}, "section.max_grad_norm: must be a valid number; got 'none'"),
        ({"reset_on_sync": 1}, "section.reset_on_sync: must be a valid boolean; got 1"),
    ],
)
def test_what_is_no_number_is_not_read_as_one(keys: dict[str, Any], message: str) -> None:
    assert refusal(FedRDQN.Config, **keys).startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "section.perturb.pole_length: must be a valid number; got True"),
        ("0.5", "section.perturb.pole_length: must be a valid number; got '0.5'"),
        ([0.5, "1"], "section.perturb.pole_length.1: must be a valid number; got '1'"),
        ({"low": "1", "high": 2}, "section.perturb.pole_length.low: must be a valid number"),
        ({"low": 2, "high": 1}, "section.perturb.pole_length: low must not exceed high"),
    ],
)
def test_a_perturbation_is_strict_too(value: Any, message: str) -> None:
    assert refusal(CartPole.Config, perturb={"pole_length": value}).startswith(message)


def test_a_seed_is_a_number(small: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"seed: must be a valid integer; got '7'"):
        small(seed="7")
    with pytest.raises(UserError, match=r"federation\.steps: must be a valid integer; got True"):
        small(federation={"steps": True})


def test_what_yaml_cannot_say_is_understood(small: Callable[..., Any]) -> None:
    assert small(federation={"steps": 2.4e2}).federation.steps == 240
    config = FedRDQN.Config(omega=[0, 1], hidden_sizes=[32.0, 16], max_grad_norm=10)
    assert config.omega == (0.0, 1.0) and config.max_grad_norm == 10.0
    assert config.hidden_sizes == (32, 16) and isinstance(config.hidden_sizes[0], int)
    perturb = CartPole.Config(
        perturb={"gravity": [5, 10.0], "force": {"low": 1, "high": 2}}
    ).perturb
    assert perturb["gravity"] == (5.0, 10.0) and perturb["force"].high == 2.0  # type: ignore[union-attr]


@pytest.mark.parametrize("learner", [FedRDQN, FedRDDPG])
@pytest.mark.parametrize(
    "keys",
    [
        {"batch_size": 10**6 + 1},
        {"replay_capacity": 10**9 + 1},
        {"hidden_sizes": [2**16 + 1]},
        {"updates_per_step": 1001},
        {"updates_per_step": 1000, "batch_size": 10**5},
    ],
)
def test_sizes_have_bounds(learner: Any, keys: dict[str, Any]) -> None:
    message = refusal(learner.Config, **keys)
    assert next(iter(keys)) in message
    assert "less than or equal to" in message or "at most 10000000" in message


@pytest.mark.parametrize("family", [RandomMDP, WindyCliff, Gymnasium])
def test_a_time_limit_has_a_bound(family: Any) -> None:
    ours = {"factory": "tests.support.user_envs:Spring"} if family is Gymnasium else {}
    message = refusal(family.Config, max_episode_steps=10**7 + 1, **ours)
    assert message.startswith("section.max_episode_steps: must be less than or equal to 10000000")


def test_a_kernel_has_a_bound_and_is_not_made_before_it_is_needed() -> None:
    message = refusal(RandomMDP.Config, num_states=10**9)
    assert message.startswith("section: num_states * num_states * num_actions must stay below")
    largest = RandomMDP(RandomMDP.Config(num_states=9000))  # 1.9 GiB, refused by its machine
    assert largest.bytes_per_environment() > 8 * 3 * 9000**2
    assert "tables" not in vars(largest) and "_centre" not in vars(largest)


@pytest.mark.parametrize("learner", [FedRDQN, FedRQ])
def test_epsilon_is_a_probability(learner: Any) -> None:
    message = refusal(learner.Config, epsilon={"start": 1.5, "end": 0.1, "steps": 10})
    assert message.startswith("section.epsilon: must stay within [0, 1], as a probability does;")
    assert "less than or equal to 1" in refusal(learner.Config, epsilon=1.5)
    assert learner.Config(epsilon={"start": 1, "end": 0, "steps": 10}).epsilon.at(5) == 0.5


@pytest.mark.parametrize("key", ["learning_rate", "degree_learning_rate", "actor_learning_rate"])
def test_a_learning_rate_starts_above_zero(key: str) -> None:
    message = refusal(FedRDDPG.Config, **{key: {"start": 0, "end": 0.1, "steps": 10}})
    assert message.startswith(f"section.{key}: must start above 0, or nothing is learnt; got")
    assert "greater than 0" in refusal(FedRDDPG.Config, **{key: 0})
    rate = getattr(FedRDDPG.Config(**{key: {"start": 1e-3, "end": 0, "steps": 10}}), key)
    assert rate.at(10) == 0.0
