"""The family of a user's own environment: accepted, refused and resumed environments."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from fedrl_ray.common.errors import UserError
from fedrl_ray.config.validation_errors import explain_violation
from fedrl_ray.environments.gymnasium import Gymnasium
from fedrl_ray.vector_envs.user import resuming
from tests.support.federations import same_bits
from tests.support.user_envs import CountedSpring
from tests.support.vector_envs import actions_for, bits, run, vector_env_of

MASS = {"mass": {"target": "mass", "low": 0.1, "high": 10.0, "unit": "kg"}}
STIFFNESS = {"stiffness": {"target": "unwrapped.stiffness"}}


def family_of(name: str = "Spring", **keys: Any) -> Gymnasium:
    """Return a family whose factory is a class of user_envs."""
    config = {"factory": f"tests.support.user_envs:{name}", "max_episode_steps": 40} | keys
    return Gymnasium(Gymnasium.Config(**{k: v for k, v in config.items() if v is not None}))


def refusal(*args: Any, **keys: Any) -> str:
    with pytest.raises(UserError) as caught:
        family_of(*args, **keys)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_registered_id_brings_its_time_limit() -> None:
    family = family_of(
        factory=None, id="tests.support.user_envs:FedrlTestSpring-v0", max_episode_steps=None
    )
    assert family.spec.max_episode_steps == 40
    assert (family.spec.obs_size, family.spec.num_actions, family.spec.kind) == (2, 3, "discrete")
    longer = family_of(
        factory=None, id="tests.support.user_envs:FedrlTestSpring-v0", max_episode_steps=70
    )
    assert longer.spec.max_episode_steps == 70


def test_a_factorys_time_limit_becomes_the_vector_environments() -> None:
    family = family_of("wrapped", kwargs={"limit": 20}, max_episode_steps=None)
    assert family.spec.max_episode_steps == 20
    vector_env = vector_env_of(family, {}, [0])
    transitions = run(vector_env, actions_for(family.spec, 20, 1))
    assert vector_env.finished[0] and transitions[-1].terminated[0] == 0.0


def test_discrete_actions_are_counted_from_zero_and_observations_are_flat() -> None:
    family = family_of()
    vector_env, env = vector_env_of(family, {}, [0]), family.build({}).env
    obs, _ = env.reset(seed=vector_env.seeds.seed(0, 0))
    for action in (0, 1, 2, 2):
        assert np.array_equal(vector_env.obs[0], obs.astype(np.float32).ravel())
        obs, reward, *_ = env.step(action - 1)
        assert vector_env.step(np.array([action])).reward[0] == np.float32(reward)


def test_continuous_actions_keep_their_bounds_and_shape() -> None:
    family = family_of("PushedSpring")
    assert family.spec.action_low == (-1.0, -1.0) and family.spec.action_high == (1.0, 2.0)
    run(vector_env_of(family, {}, [0, 1]), actions_for(family.spec, 50, 2))


def test_nominal_values_come_from_signature_keyword_or_attribute() -> None:
    parameters = MASS | STIFFNESS
    assert family_of(parameters=parameters).nominal() == {"mass": [1.0], "stiffness": [2.0]}
    heavier = family_of(parameters=parameters, kwargs={"mass": 3.0})
    assert heavier.nominal()["mass"] == 3.0
    given = family_of(parameters={"mass": MASS["mass"] | {"nominal": 4.0}})
    assert given.nominal()["mass"] == 4.0 and given.build({}).env.mass == 4.0


def test_each_row_has_its_own_parameters() -> None:
    family = family_of(parameters=MASS | STIFFNESS, perturb={"mass": 0.5, "stiffness": 0.5})
    dynamics = {"mass": np.array([1.0, 2.0]), "stiffness": np.array([3.0, 4.0])}
    vector_env: Any = vector_env_of(family, dynamics, [0, 1])
    held = [(env.env.mass, env.env.stiffness) for env in vector_env.envs]
    assert held == [(1.0, 3.0), (2.0, 4.0)]


def test_an_attribute_survives_a_reset_that_undoes_it() -> None:
    family = family_of("ForgetfulSpring", parameters=STIFFNESS, perturb={"stiffness": 0.5})
    vector_env: Any = vector_env_of(family, {"stiffness": np.array([5.0])}, [0])
    run(vector_env, actions_for(family.spec, 50, 1))
    assert vector_env.agent_state(0)["episode"] >= 1 and vector_env.envs[0].env.stiffness == 5.0


@pytest.mark.parametrize(
    ("name", "wind", "way"),
    [
        ("SavingSpring", 0.0, "state"),
        ("SavingSpring", 0.5, "replay"),  # its generator is not in its state
        ("SilentSpring", 0.0, "replay"),
        ("Spring", 0.5, "replay"),
        ("StormySpring", 0.0, "replay"),
    ],
)
def test_an_environment_resumes_by_state_or_by_replay(name: str, wind: float, way: str) -> None:
    family = family_of(name, kwargs={"wind": wind})
    assert not family.exemptions
    actions = actions_for(family.spec, 100, 2)
    first, second = (vector_env_of(family, {}, agents) for agents in ([0, 1], [1, 0]))
    run(first, actions[:55])
    for row in (0, 1):
        state = first.agent_state(row)
        assert ("physics/actions" in state) == (way == "replay")
        second.load_agent_state(1 - row, state)
    mine, other = run(first, actions[55:]), run(second, actions[55:, ::-1])
    assert all(same_bits(bits(mine, row), bits(other, 1 - row)) for row in (0, 1))


@pytest.mark.parametrize(("name", "wind"), [("StormySpring", 0.5), ("AgeingSpring", 0.0)])
def test_what_cannot_be_resumed_says_so_and_goes_on(
    name: str, wind: float, caplog: pytest.LogCaptureFixture
) -> None:
    family = family_of(name, kwargs={"wind": wind})
    assert family.exemptions["resume"].startswith("resume is not exact")
    assert not caplog.records
    resuming.warn_of_inexact_resume.cache_clear()
    first, second = (vector_env_of(family, {}, [0]) for _ in range(2))
    run(first, actions_for(family.spec, 55, 1))
    with caplog.at_level(logging.WARNING):
        second.load_agent_state(0, first.agent_state(0))
        second.load_agent_state(0, first.agent_state(0))
    assert [r.message for r in caplog.records] == [
        "environment: resume is not exact, because a replay led to another observation"
    ]
    assert np.array_equal(second.obs, first.obs)
    run(second, actions_for(family.spec, 10, 1))


def test_an_unusable_get_state_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    family_of("SilentSpring", max_episode_steps=41)
    assert "it returns no dict of arrays or numbers" in caplog.text


def test_a_saved_row_at_the_start_of_an_episode_loads() -> None:
    family = family_of()
    first, second = (vector_env_of(family, {}, [0]) for _ in range(2))
    state = first.agent_state(0)
    assert state["physics/actions"].shape == (0,)
    second.load_agent_state(0, state)
    assert np.array_equal(first.obs, second.obs)


def test_the_trial_runs_once_per_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    family_of(max_episode_steps=33)
    monkeypatch.setattr(Gymnasium, "check", lambda self: pytest.fail("tried again"))
    family_of(max_episode_steps=33)


def test_the_trial_opens_one_environment_at_a_time_and_closes_it() -> None:
    CountedSpring.made = CountedSpring.open = CountedSpring.most = 0
    family_of("CountedSpring", parameters=MASS, perturb={"mass": 0.5})
    assert CountedSpring.made >= 6 and CountedSpring.open == 0 and CountedSpring.most == 1


@pytest.mark.parametrize("fault", ["step", "second"])
def test_the_checks_close_what_they_open_when_the_environment_fails(fault: str) -> None:
    CountedSpring.made = CountedSpring.open = 0
    with pytest.raises(ZeroDivisionError):
        family_of("CountedSpring", kwargs={"fault": fault})
    assert CountedSpring.made > 0 and CountedSpring.open == 0


def test_refused_environments_are_closed() -> None:
    CountedSpring.made = CountedSpring.open = 0
    refusal("CountedSpring", parameters={"k": {"target": "unwrapped.stifness"}})
    assert (CountedSpring.made, CountedSpring.open) == (1, 0)


def test_a_vector_environment_closes_its_environments_once() -> None:
    family = family_of("CountedSpring")
    CountedSpring.open = 0
    vector_env = vector_env_of(family, {}, [0, 1, 2])
    assert CountedSpring.open == 3
    for _ in range(2):
        vector_env.close()
        assert CountedSpring.open == 0


def test_a_vector_environment_that_fails_to_start_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = family_of("CountedSpring", max_episode_steps=35)
    CountedSpring.open = 0
    monkeypatch.setattr(CountedSpring, "observe", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vector_env_of(family, {}, [0, 1])
    assert CountedSpring.open == 0


@pytest.mark.parametrize(
    "value",
    [float("inf"), {1: "a"}, datetime.date(2026, 1, 1), b"a", {"deep": [1.0, float("nan")]}, {1}],
)
def test_arguments_that_would_not_reach_a_worker_are_refused(value: Any) -> None:
    keys = {"factory": "tests.support.user_envs:Spring", "kwargs": {"mass": value}}
    with pytest.raises(ValidationError) as caught:
        Gymnasium.Config(**keys)
    message = explain_violation(caught.value, Gymnasium.Config, prefix="environment")
    assert message.startswith("environment.kwargs.mass: must be made of null, true, false, finite")
    assert message.endswith(f"got {value!r}")


def test_arguments_that_reach_a_worker_are_unchanged() -> None:
    value = {"a": [1, 2.5, None, True, "x", {"b": []}], "c": 1e300, "d": -(10**30)}
    config = Gymnasium.Config(factory="tests.support.user_envs:Spring", kwargs={"mass": value})
    sent = yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))
    assert Gymnasium.Config(**sent).kwargs["mass"] == config.kwargs["mass"] == value


def test_a_parameter_that_changes_nothing_is_refused() -> None:
    colour = {"colour": {"target": "colour"}}
    message = refusal(parameters=colour, perturb={"colour": 0.5})
    assert message.startswith("environment.parameters.colour: changes nothing")
    assert "0.5, 0.25, 0.75" in message
    family_of(parameters=colour)  # not perturbed
    skip = {"colour": {"target": "colour", "verify": False}}
    family_of(parameters=skip, perturb={"colour": 0.5})


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("observation space", ("environment.factory", "must be a Box", "Discrete(4)")),
        ("action space", ("environment.factory", "must have bounds in every dimension", "inf")),
        (
            "old reset",
            ("environment.factory", "reset must return (observation, info)", "an array of"),
        ),
        ("old step", ("at step 1", "must return (observation, reward", "tuple of 4")),
        ("nan", ("at step 1", "observation[0] is not finite", "nan")),
        ("shape", ("at step 1", "shape (2, 1)", "(2,)")),
        ("reward", ("at step 1", "the reward is not finite", "inf")),
    ],
)
def test_a_faulty_environment_is_refused_in_one_line(fault: str, words: tuple[str, ...]) -> None:
    message = refusal("FaultySpring", kwargs={"fault": fault})
    assert all(word in message for word in words), message


def test_an_exception_of_the_users_own_is_not_touched() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug of the user's own"):
        family_of("FaultySpring", kwargs={"fault": "exception"})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"factory": "tests.support.user_envs"},
            ("environment.factory", "package.module:callable"),
        ),
        ({"factory": "user_envz:Spring"}, ("environment.factory", "no module 'user_envz'")),
        (
            {"factory": "tests.support.user_envs:Sprin"},
            ("environment.factory", "'Sprin'", "'Spring'"),
        ),
        (
            {"factory": "tests.support.user_envs:not_an_env"},
            ("must make a gymnasium.Env", "got object"),
        ),
        ({"factory": None, "id": "CartPol-v1"}, ("environment.id", "'CartPol-v1'", "CartPole-v1")),
        ({"factory": None, "id": "nowhere:X-v0"}, ("environment.id", "no module 'nowhere'")),
        ({"max_episode_steps": None}, ("environment.max_episode_steps", "required")),
        ({"kwargs": {"mas": 1.0}}, ("environment.kwargs.mas", "'mass'", "mass, colour, wind")),
        (
            {"factory": "tests.support.user_envs:FaultySpring"},
            ("environment.kwargs.fault", "required"),
        ),
        (
            {"parameters": {"m": {"target": "mas"}}},
            ("environment.parameters.m.target", "'mas'", "'mass'"),
        ),
        (
            {"parameters": {"k": {"target": "unwrapped.stifness"}}},
            ("environment.parameters.k.target", "Spring has no attribute", "'stiffness'"),
        ),
        (
            {"parameters": {"k": {"target": "unwrapped.name"}}},
            ("environment.parameters.k.nominal", "must be a number", "'spring'"),
        ),
        (
            {"parameters": {"k": {"target": "unwrapped.stiffness", "low": 3.0}}},
            ("environment.parameters.k.nominal", "[3, inf]", "got 2"),
        ),
        (
            {"parameters": MASS, "perturb": {"mass": 0.95}},
            ("environment.perturb.mass", "[0.1, 10] kg", "0.05"),
        ),
        ({"parameters": MASS, "perturb": {"mess": 0.5}}, ("environment.perturb.mess", "mass")),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(
    keys: dict[str, Any], words: tuple[str, ...]
) -> None:
    message = refusal(**keys)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("keys", [{}, {"id": "CartPole-v1", "factory": "a:b"}])
def test_id_and_factory_exclude_each_other(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one of id and factory"):
        Gymnasium.Config(**keys)
