"""Results of users' environments that are not Gymnasium's, and parameters that cannot be set."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.environments.gymnasium import Gymnasium
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from tests.support.vector_envs import run, vector_env_of


def family_of(name: str, module: str = "stubborn_envs", **keys: Any) -> Gymnasium:
    factory = {"factory": f"tests.support.{module}:{name}", "max_episode_steps": 300}
    config: dict[str, Any] = factory | keys
    return Gymnasium(Gymnasium.Config(**config))


def refusal(name: str, **keys: Any) -> str:
    with pytest.raises(UserError) as caught:
        family_of(name, **keys)
    assert "\n" not in str(caught.value)
    return str(caught.value)


ODD = [
    ("obs", "ragged", "the observation must be an array of numbers; setting an array element"),
    ("obs", "masked", "the observation must have no masked numbers"),
    ("obs", "complex", "the observation must be numbers; got complex128"),
    ("obs", "objects", "the observation must be numbers; got object"),
    ("obs", "nothing", "the observation must have the shape (2,); got NoneType"),
    ("obs", "text", "the observation must have the shape (2,); got str"),
    ("obs", "mapping", "the observation must have the shape (2,); got dict"),
    ("reward", "complex", "the reward must be one number, like float(reward); got complex128"),
    ("reward", "decimal", "the reward must be one number, like float(reward); got Decimal"),
    ("reward", "text", "the reward must be one number, like float(reward); got str"),
    ("reward", "digits", "the reward does not fit float32, at most 3.4e+38"),
    ("terminated", "nothing", "terminated must be true or false, like bool(terminated); got None"),
    ("terminated", "two", "terminated must be true or false, like bool(terminated); got an array"),
    ("truncated", "text", "truncated must be true or false, like bool(truncated); got str"),
    ("truncated", "float", "truncated must be true or false, like bool(truncated); got float"),
    ("info", "", "the info must be a dict, {} if empty; got NoneType"),
    ("count", "", "step must return (observation, reward, terminated, truncated, info); got tuple"),
]


@pytest.mark.parametrize(("what", "kind", "text"), ODD)
def test_the_trial_refuses_what_is_not_gymnasiums(what: str, kind: str, text: str) -> None:
    message = refusal("Stubborn", kwargs={"what": what, "kind": kind})
    assert message.startswith(f"environment.factory: at step 1: {text}")


@pytest.mark.parametrize(("what", "kind", "text"), ODD[::3])
def test_after_the_trial_it_stops_the_run_and_names_the_step(
    what: str, kind: str, text: str
) -> None:
    family = family_of("Stubborn", kwargs={"what": what, "kind": kind, "after": 150})
    with pytest.raises(RunError) as caught:
        run(vector_env_of(family, {}, [3, 4]), np.ones((200, 2), dtype=np.int64))
    assert str(caught.value).startswith(f"agent 3, episode 0, step 150: {text}")


@pytest.mark.parametrize(
    ("what", "kind"),
    [("obs", "list"), ("obs", "whole"), ("obs", "mask of none"), ("obs", "truth"),
     ("reward", "no dimensions"), ("reward", "half"), ("reward", "truth"),
     ("terminated", "no dimensions"), ("truncated", "whole")],
)  # fmt: skip
def test_what_converts_without_loss_is_taken(what: str, kind: str) -> None:
    family = family_of("Stubborn", kwargs={"what": what, "kind": kind})
    transitions = run(vector_env_of(family, {}, [0]), np.ones((3, 1), dtype=np.int64))
    assert np.isfinite(transitions[-1].reward).all()


@pytest.mark.parametrize(
    ("name", "keys", "got"),
    [
        ("NeedsOptions", {}, "reset(self, seed: 'int | None', options: 'Any') of NeedsOptions"),
        ("PositionalSeed", {}, "of PositionalSeed"),
        ("Stubborn", {"wrappers": ["tests.support.stubborn_envs:SeedlessWrapper"]},
         "reset(self) of SeedlessWrapper"),
    ],
)  # fmt: skip
def test_every_layer_of_a_reset_must_take_a_seed(name: str, keys: dict[str, Any], got: str) -> None:
    message = refusal(name, **keys)
    assert "reset must take a seed, reset(self, *, seed=None, options=None)" in message
    assert message.endswith(got)


def test_a_later_reset_that_returns_no_pair_stops_the_run() -> None:
    family = family_of("LateReset", max_episode_steps=5)
    env = vector_env_of(family, {}, [2])
    with pytest.raises(RunError, match=r"^agent 2, episode 59, step 1: at reset: reset must"):
        run(env, np.ones((300, 1), dtype=np.int64))


def test_a_close_that_ends_the_program_is_one_line() -> None:
    assert "close must return; it raised SystemExit: 3" in refusal("ExitingClose")


def test_an_observation_that_does_not_fit_its_space_cannot_be_flattened() -> None:
    message = refusal("PickyDict", flatten=True)
    assert "at reset: the observation must fit Dict(" in message and "KeyError" in message


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("unwrapped.frozen.m", "'unwrapped.frozen.m' cannot be set: cannot assign to field 'm'"),
        ("unwrapped.pair.m", "'unwrapped.pair.m' cannot be set: can't set attribute"),
        ("unwrapped.row[0]", "'unwrapped.row[0]' cannot be set: 'tuple' object does not support"),
        ("unwrapped.fixed[0]", "cannot be set: assignment destination is read-only"),
        ("unwrapped.view[m]", "cannot be set: 'mappingproxy' object does not support"),
        ("unwrapped.computed", "'unwrapped.computed' cannot be set: property 'computed'"),
        ("unwrapped.whole[0]", "'unwrapped.whole[0]' was set to 2.5 and holds 2"),
        ("unwrapped.clamped", "'unwrapped.clamped' was set to 2.5 and holds 2"),
        ("unwrapped.set_nothing", "is called with the value, and does not take one"),
        ("unwrapped.flag", "p.target: must hold one number; got True"),
        ("unwrapped.table", "p.target: must hold one number; got array([1., 2.])"),
        ("unwrapped.records[0]", "p.target: must hold one number; got {'m': 1.0}"),
    ],
)
def test_a_place_that_takes_no_value_is_one_line(target: str, text: str) -> None:
    parameters = {"p": {"target": target, "nominal": 1.0, "verify": False}}
    with pytest.raises(UserError) as caught:
        family_of("Holder", parameters=parameters).build({"p": 2.5})
    message = str(caught.value)
    assert message.startswith("environment.parameters") and text in message and "\n" not in message


@pytest.mark.parametrize(
    "target", ["unwrapped.slotted.m", "unwrapped.single[0]", "unwrapped.records[1][m]",
               "unwrapped.zero"]
)  # fmt: skip
def test_places_of_many_kinds_take_a_value(target: str) -> None:
    family = family_of("Holder", parameters={"p": {"target": target, "verify": False}})
    assert family.parameters["p"].nominal in (1.0, 2.0)
    family.build({"p": 2.7})


def test_an_error_of_the_users_setter_stays_what_it_is() -> None:
    family = family_of("Holder", parameters={"p": {"target": "unwrapped.strict"}})
    with pytest.raises(ValueError, match="mine"):
        family.build({"p": 1.5})


def test_places_that_hold_different_values_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    targets = ["unwrapped.records[0][m]", "unwrapped.records[1][m]"]
    with caplog.at_level(logging.WARNING):
        family_of("Holder", parameters={"p": {"target": targets, "verify": False}})
    assert "p: the targets hold different values, 1, 2; each gets the same value" in caplog.text


SITES = "environment.agents"


@pytest.mark.parametrize(
    ("agents", "parameters", "text"),
    [
        ([{"site": "north"}, {}], {}, f"{SITES}.1.site: missing"),
        ({"n": {"site": "north"}, "x": {"valves": 1}}, {}, f"{SITES}.x.site: missing"),
        ({"n": {"site": "north"}, "x": {"sit": 1}}, {}, f"{SITES}.x.sit: environment.fac"),
        ([{"site": "north"}, {"site": "south", "mass": 2.0}], {"m": {"target": "mass"}},
         f"{SITES}.1.mass: environment.parameters.m sets this argument"),
    ],
)  # fmt: skip
def test_every_site_is_checked_before_anything_starts(
    agents: Any, parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(UserError) as caught:
        family_of("Plant", "odd_envs", agents=agents, parameters=parameters)
    assert str(caught.value).startswith(text)


def test_a_parameter_does_not_make_different_sites_alike() -> None:
    agents = [{"site": "south"}, {"site": "north"}]
    parameters: dict[str, Any] = {"m": {"target": "unwrapped.mass"}}
    family = family_of("Plant", "odd_envs", agents=agents, parameters=parameters)
    dynamics = family.draw({}, seed=0, agent_ids=[0, 1])
    with pytest.raises(UserError, match=r"m\.nominal: required.* is 0\.5 at north and 1 at south"):
        family.make(dynamics, EpisodeSeeds.of_agents(0, [0, 1]), retire=False)
    parameters["m"]["nominal"] = 1.5
    family = family_of("Plant", "odd_envs", agents=agents, parameters=parameters)
    env = family.make(dynamics, EpisodeSeeds.of_agents(0, [0, 1]), retire=False)
    env.close()


def test_sites_with_equal_texts_have_different_names() -> None:
    agents = [{"site": "north", "valves": 1}, {"site": "north", "valves": "1"}]
    family = family_of("Plant", "odd_envs", agents=agents)
    labels = {family.agent_label(agent) for agent in (0, 1)}
    assert labels == {
        "agent 0 (site=north, valves=1)", "agent 1 (site=north, valves=1 (agent 1))"
    }  # fmt: skip


@pytest.mark.parametrize("where", ["kwargs", "agents"])
def test_arguments_that_a_constructor_passes_on_are_named(where: str) -> None:
    keys: dict[str, Any] = {"kwargs": {"mas": 1.0}, "agents": [{"mas": 1.0}]}
    message = refusal("Passing", **{where: keys[where]})
    assert message.startswith("environment.factory: takes no argument 'mas'")
