"""Users' environments with odd spaces and faulty data: trained, evaluated, refused, or stopped."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrl_ray.agents.evaluation import GridEvaluator, initial_shared
from fedrl_ray.backends import memory_estimate
from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.config.build import build_family
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.environments.gymnasium import Gymnasium
from fedrl_ray.vector_envs.user import closing
from tests.support.odd_envs import SPACES, Bulky, OddSpring, Seat
from tests.support.runs import train
from tests.support.vector_envs import actions_for, run, vector_env_of

MASS = {"mass": {"target": "mass"}}


def family_of(name: str, **keys: Any) -> Gymnasium:
    config = {"factory": f"tests.support.odd_envs:{name}", "max_episode_steps": 60} | keys
    return Gymnasium(Gymnasium.Config(**config))


def refusal(name: str, **keys: Any) -> str:
    with pytest.raises(UserError) as caught:
        family_of(name, **keys)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def experiment(learner: str, evaluation: dict[str, Any] | None = None, **env: Any) -> Experiment:
    return from_dict(
        {
            "federation": {"num_agents": env.pop("num_agents", None), "steps": 120,
                           "sync_interval": 60, "backend": "in_process"},
            "learner": {"name": learner, "hidden_sizes": [8], "learning_starts": 20,
                        "batch_size": 8, "replay_capacity": 64},
            "environment": {"name": "gymnasium", "max_episode_steps": 60} | env,
            "evaluation": {"every": 60, "grid": 3, "episodes": 2} | (evaluation or {}),
        }
    )  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
def test_actions_stay_in_the_space_in_training_and_evaluation(name: str, tmp_path: Path) -> None:
    family = family_of("OddSpring", kwargs={"space": name})
    learner = "fedrdqn" if family.spec.kind == "discrete" else "fedrddpg"
    e = experiment(
        learner,
        factory="tests.support.odd_envs:OddSpring",
        kwargs={"space": name},
        parameters=MASS,
        perturb={"mass": [1.0, 1.5]},
        num_agents=2,
    )
    assert np.isfinite(train(e, tmp_path)["evaluation"]["returns"]).all()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no observation space", ("observation_space must be a space", "set in __init__", "none")),
        ("no action space", ("action_space must be a space", "none")),
        ("empty observation", ("observation space must hold at least one number", "(0,)")),
        ("empty action", ("action space must have at least one dimension", "(0,)")),
        ("image", ("is an image", "flatten: true", "environment.wrappers")),
        ("largest bounds", ("bounds in every dimension", "RescaleAction")),
        ("many", ("at most 1,024 combinations", "1,100")),
        ("wide", ("at most 4,194,304 whole numbers",)),
        ("no info", ("at reset", "the info must be a dict", "NoneType")),
        ("nan", ("at step 1", "observation[1] is not finite (nan)")),
        ("huge", ("observation[1] does not fit float32", "1e+39")),
        ("shape", ("the observation must have the shape (2,)", "(1,)")),
        ("text", ("the observation must be numbers",)),
        ("reward nan", ("at step 1", "the reward is not finite (nan)")),
        ("reward huge", ("at step 1", "the reward does not fit float32", "1e+300")),
        ("reward list", ("at step 1", "the reward must be one number", "array of shape (1,)")),
        ("reward none", ("at step 1", "the reward must be one number", "NoneType")),
        ("no end", ("at step 1", "terminated must be true or false", "NoneType")),
        ("close", ("close must return", "OSError", "the port is gone")),
    ],
)
def test_the_trial_refuses_in_one_line(fault: str, words: tuple[str, ...]) -> None:
    message = refusal("OddSpring", kwargs={"fault": fault})
    assert message.startswith("environment.factory")
    assert all(word in message for word in words), message


def test_a_reset_without_a_seed_is_refused() -> None:
    message = refusal("SeedlessSpring")
    assert "reset must take a seed, reset(self, *, seed=None, options=None)" in message


def test_a_close_that_hangs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "SECONDS", 0.2)
    message = refusal("OddSpring", kwargs={"fault": "endless close"})
    assert "close must return; it had not after 0.2 s" in message


def test_a_finished_run_survives_a_close_that_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    family = family_of("OddSpring", max_episode_steps=61)
    env = vector_env_of(family, {}, [0])
    monkeypatch.setattr(OddSpring, "close", lambda self: 1 / 0)
    with caplog.at_level(logging.WARNING):
        env.close()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("reward nan", "the reward is not finite (nan)"),
        ("reward huge", "the reward does not fit float32, at most 3.4e+38 (1e+300)"),
        ("reward list", "the reward must be one number, like float(reward); got an array of shape "
         "(1,)"),
        ("nan", "observation[1] is not finite (nan)"),
        ("huge", "observation[1] does not fit float32, at most 3.4e+38 (1e+39)"),
        ("shape", "the observation must have the shape (2,); got (1,)"),
    ],
)  # fmt: skip
def test_faulty_data_stop_training_and_name_agent_episode_and_step(fault: str, text: str) -> None:
    family = family_of("OddSpring", max_episode_steps=200, kwargs={"fault": fault, "after": 150})
    env = vector_env_of(family, {}, [3, 4])
    with pytest.raises(RunError) as caught:
        run(env, np.ones((200, 2), dtype=np.int64))
    assert str(caught.value) == f"agent 3, episode 0, step 150: {text}"


def test_nan_in_the_test_grid_is_never_a_score() -> None:
    e = experiment(
        "fedrdqn",
        {"perturb": {"mass": {"low": 1.0, "high": 1.4}}},
        factory="tests.support.odd_envs:HeavyNan",
        parameters=MASS,
        num_agents=2,
    )
    family = build_family(e)
    with pytest.raises(
        RunError, match=r"^test environment 2 \(mass 1\.4\), episode 0, step 45: the rew"
    ):
        GridEvaluator(e, family)(initial_shared(e, family))  # fmt: skip


def test_a_diverged_policy_is_not_blamed_on_the_environment() -> None:
    family = family_of("OddSpring", kwargs={"space": "narrow"})
    env = vector_env_of(family, {}, [0])
    with pytest.raises(RunError, match="agent 0, episode 0, step 1: the action is not finite"):
        env.step(np.full((1, 1), np.nan, dtype=np.float32))


@pytest.mark.parametrize(
    ("kind", "size"), [("dict", 4), ("tuple", 3), ("discrete", 4), ("image", 12)]
)
def test_flatten_makes_a_vector_and_its_absence_names_the_key(kind: str, size: int) -> None:
    assert "flatten: true" in refusal("DictSpring", kwargs={"kind": kind})
    family = family_of("DictSpring", kwargs={"kind": kind}, flatten=True)
    assert family.spec.obs_size == size
    run(vector_env_of(family, {}, [0, 1]), actions_for(family.spec, 70, 2))


def test_a_space_without_a_fixed_length_cannot_be_flattened() -> None:
    message = refusal("DictSpring", kwargs={"kind": "sequence"}, flatten=True)
    assert message.startswith("environment.flatten") and "Sequence" in message


def test_wrappers_are_applied_in_order_with_their_arguments() -> None:
    scale = {"wrapper": "tests.support.odd_envs:Scale", "kwargs": {"factor": 3.0}}
    limit = {"wrapper": "gymnasium.wrappers:TimeLimit", "kwargs": {"max_episode_steps": 7}}
    plain = family_of("OddSpring")
    family = family_of("OddSpring", wrappers=[scale, limit], max_episode_steps=None)
    assert family.spec.max_episode_steps == 7
    rewards = [
        run(vector_env_of(f, {}, [0]), actions_for(f.spec, 5, 1))[-1].reward
        for f in (plain, family)
    ]
    np.testing.assert_allclose(rewards[1], 3 * rewards[0], rtol=1e-6)
    flat = family_of("DictSpring", wrappers=["gymnasium.wrappers:FlattenObservation"])
    assert flat.spec.obs_size == 4


@pytest.mark.parametrize(
    ("wrapper", "words"),
    [
        (
            "gymnasium.wrappers:FlatenObservation",
            ("environment.wrappers.0", "'FlattenObservation'"),
        ),
        ("gymnasium.wrappers", ("environment.wrappers.0", "package.module:callable")),
        (
            {"wrapper": "tests.support.odd_envs:Scale", "kwargs": {"facter": 1.0}},
            ("environment.wrappers.0.kwargs.facter", "'factor'"),
        ),
        ("tests.support.odd_envs:Scale", ("environment.wrappers.0", "refuses", "factor")),
        ("tests.support.odd_envs:Model", ("environment.wrappers.0", "takes 1 positional")),
    ],
)
def test_a_wrong_wrapper_is_one_line(wrapper: Any, words: tuple[str, ...]) -> None:
    message = refusal("OddSpring", wrappers=[wrapper])
    assert all(word in message for word in words), message


def test_an_evaluation_holds_few_environments_open(tmp_path: Path) -> None:
    e = experiment(
        "fedrdqn",
        {"grid": 11, "episodes": 3},
        factory="tests.support.odd_envs:Seat",
        parameters=MASS,
        perturb={"mass": 0.5},
        max_open=3,
        num_agents=2,
    )
    Seat.most = 0
    few = train(e, tmp_path / "few")["evaluation"]["returns"]
    assert (Seat.open_now, Seat.most) == (0, 2 + 3)
    many = from_dict(e.to_dict() | {"environment": e.to_dict()["environment"] | {"max_open": 100}})
    Seat.most = 0
    assert train(many, tmp_path / "many")["evaluation"]["returns"] == few
    assert Seat.most == 2 + 11  # the nominal environment is one of the grid


def test_memory_of_an_environment_and_of_its_libraries_is_measured() -> None:
    Bulky.libraries.clear()
    gc.collect()  # garbage that is collected meanwhile would hide what the libraries take
    family = family_of("Bulky", parameters=MASS, perturb={"mass": 0.5})
    assert 7 < family.bytes_per_environment() / 2**20 < 10
    # an environment that refers to itself may still be there, beside the libraries
    assert 15 < family.bytes_per_process() / 2**20 < 28
    again = family_of("Bulky", parameters=MASS, perturb={"mass": 0.5})
    assert again.bytes_per_process() == family.bytes_per_process()
    assert family_of("OddSpring").bytes_per_environment() >= 2**14


def test_every_process_counts_the_libraries_of_an_environment() -> None:
    Bulky.libraries.clear()
    gc.collect()
    bulky = experiment("fedrdqn", factory="tests.support.odd_envs:Bulky", num_agents=2)
    plain = experiment("fedrdqn", factory="tests.support.odd_envs:OddSpring", num_agents=2)
    more = [memory_estimate.estimate(e, 2) for e in (bulky, plain)]
    assert more[0].actors - more[1].actors > 2 * 15 * 2**20
    assert more[0].driver - more[1].driver > (15 + 3 * 7) * 2**20
