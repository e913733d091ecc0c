"""Parameters of users' environments: whole numbers, elements, keys, methods, several places."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fedrl_ray.agents.evaluation import EvaluationGrid
from fedrl_ray.common.errors import UserError
from fedrl_ray.config.build import build_family
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.environments.gymnasium import Gymnasium
from fedrl_ray.vector_envs.sites import ENVIRONMENT
from fedrl_ray.vector_envs.user import paths
from tests.support.odd_envs import Plant
from tests.support.runs import train
from tests.support.vector_envs import actions_for, run, vector_env_of


def family_of(name: str = "Robot", **keys: Any) -> Gymnasium:
    config = {"factory": f"tests.support.odd_envs:{name}", "max_episode_steps": 40} | keys
    return Gymnasium(Gymnasium.Config(**config))


def refusal(name: str = "Robot", **keys: Any) -> str:
    with pytest.raises(UserError) as caught:
        family_of(name, **keys)
    assert "\n" not in str(caught.value)
    return str(caught.value)


READ = {
    "unwrapped.model.body_mass[2]": lambda robot: robot.model.body_mass[2],
    "unwrapped.model.inertia[0,1]": lambda robot: robot.model.inertia[0, 1],
    "unwrapped.config[density]": lambda robot: robot.config["density"],
    "unwrapped.config[road][lanes]": lambda robot: robot.config["road"]["lanes"],
    "unwrapped.set_payload": lambda robot: robot.payload,
    "unwrapped.payload": lambda robot: robot.payload,
    "config[density]": lambda robot: robot.config["density"],
    "length": lambda robot: robot.length,
}


@pytest.mark.parametrize("target", READ)
def test_a_value_reaches_its_place_and_survives_resets(target: str) -> None:
    family = family_of(parameters={"p": {"target": target, "nominal": 2.0}}, perturb={"p": 0.5})
    env: Any = vector_env_of(family, {"p": np.array([1.5, 2.5])}, [0, 1])
    run(env, actions_for(family.spec, 50, 2))
    assert [READ[target](row.env.unwrapped) for row in env.envs] == [1.5, 2.5]


def test_several_places_share_one_value() -> None:
    targets = ["unwrapped.length", "unwrapped.config[density]", "unwrapped.model.body_mass[0]"]
    family = family_of(parameters={"size": {"target": targets}}, perturb={"size": 0.5})
    robot: Any = family.build({"size": 0.75}).env.unwrapped
    assert (robot.length, robot.config["density"], robot.model.body_mass[0]) == (0.75, 0.75, 0.75)
    assert family.parameters["size"].nominal == 0.5


def test_nominal_values_are_read_where_they_are() -> None:
    parameters = {
        "mass": {"target": "unwrapped.model.body_mass[1]"},
        "lanes": {"target": "unwrapped.config[road][lanes]"},
        "density": {"target": "config[density]", "nominal": 3.0},
    }
    nominal = family_of(parameters=parameters, kwargs={"config": {"road": {"lanes": 2}}}).nominal()
    assert {n: v.tolist() for n, v in nominal.items()} == {
        "mass": [2.0],
        "lanes": [2.0],
        "density": [3.0],
    }


@pytest.mark.parametrize(
    "target", ["joints", "unwrapped.config[road][lanes]", "config[road][lanes]"]
)
def test_whole_numbers_stay_whole(target: str) -> None:
    parameters = {"n": {"target": target, "nominal": 4}}
    family = family_of(parameters=parameters, perturb={"n": {"low": 2.0, "high": 6.0}})
    drawn = family.draw(family.config.perturb, seed=0, agent_ids=range(300))["n"]
    assert set(np.unique(drawn)) == {2.0, 3.0, 4.0, 5.0, 6.0}
    grid = family.grid(family.config.perturb, size=11, seed=0)["n"]
    assert grid.tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
    robot: Any = family.build({"n": 3.0}).env.unwrapped
    held = len(robot.parts) if target == "joints" else robot.config["road"]["lanes"]
    assert held == 3 and isinstance(held, int)


@pytest.mark.parametrize("perturb", [0.5, {"low": 1.5, "high": 4.0}, [3, 2.5]])
def test_a_fraction_of_a_whole_number_is_refused(perturb: Any) -> None:
    parameters = {"joints": {"target": "joints"}}
    message = refusal(parameters=parameters, perturb={"joints": perturb})
    assert message.startswith("environment.perturb.joints: must lead to whole numbers")


def test_a_fractional_nominal_value_allows_fractions() -> None:
    lanes = {"target": "config[road][lanes]", "nominal": 3.0}
    family = family_of(parameters={"lanes": lanes}, perturb={"lanes": 0.5})
    assert family.build({"lanes": 2.5}).env.unwrapped.config["road"]["lanes"] == 2.5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ({"target": "unwrapped.model.body_mas[0]"}, ("no attribute 'body_mas'", "'body_mass'")),
        ({"target": "unwrapped.model.body_mass[7]"}, ("has no item 7",)),
        ({"target": "unwrapped.config[densty]"}, ("has no item 'densty'",)),
        ({"target": "unwrapped.set_payload"}, ("nominal: required", "is a method")),
        ({"target": "config[density]"}, ("nominal: required", "has no value yet")),
        ({"target": "confg[density]", "nominal": 1.0}, ("takes no argument 'confg'",)),
        (
            {"target": "unwrapped.parts"},
            ("nominal: must be a number", "target, unwrapped.parts[0]"),
        ),
        ({"target": "unwrapped.model.inertia"}, ("shape (2, 2)", "unwrapped.model.inertia[0,0]")),
        ({"target": "unwrapped.config"}, ("is a dict", "unwrapped.config[density]")),
    ],
)
def test_a_wrong_place_is_one_line(parameter: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refusal(parameters={"p": parameter})
    assert message.startswith("environment.parameters.p.")
    assert all(word in message for word in words), message


@pytest.mark.parametrize("target", ["", "a..b", "unwrapped.", "x[", "x[]", "1x", [], "a b"])
def test_a_text_that_is_no_path_is_refused(target: Any) -> None:
    with pytest.raises(ValidationError, match=r"must be an argument|must name at least one"):
        Gymnasium.Config(factory="a:b", parameters={"p": {"target": target}})


def test_a_path_is_read_part_by_part() -> None:
    path = paths.parse("unwrapped.a[b][-1].c[0, 2]")
    items = (paths.Item("b"), paths.Item(-1))
    assert path.parts == ("unwrapped", "a", *items, "c", paths.Item((0, 2)))
    assert path.is_attribute and not paths.parse("config['a']").is_attribute


@pytest.mark.parametrize(
    ("targets", "stale"),
    [
        ("unwrapped.length", True),
        (["unwrapped.length", "unwrapped.polemass_length"], False),
        ("length", False),
        ("unwrapped.payload", False),
    ],
)
def test_a_value_derived_from_a_parameter_is_noticed(
    targets: Any, stale: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        family_of(parameters={"p": {"target": targets, "verify": True}}, perturb={"p": 0.4},
                  max_episode_steps=41)  # fmt: skip
    assert ("polemass_length looks derived" in caplog.text) == stale


def test_the_length_of_gymnasiums_cartpole_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    keys = {"id": "CartPole-v1", "parameters": {"pole": {"target": "unwrapped.length"}}}
    Gymnasium(Gymnasium.Config(**keys, perturb={"pole": 0.3}))
    assert "polemass_length looks derived from unwrapped.length" in caplog.text


AGENTS = [{"site": "north"}, {"site": "south"}, {"site": "harbour", "valves": {"a": [1, None]}}]


def fleet(evaluation: dict[str, Any] | None = None, **env: Any) -> Experiment:
    return from_dict(
        {
            "federation": {"steps": 80, "sync_interval": 40, "backend": "in_process"},
            "learner": {"name": "fedrdqn", "hidden_sizes": [8], "learning_starts": 20,
                        "batch_size": 8, "replay_capacity": 64},
            "environment": {"name": "gymnasium", "factory": "tests.support.odd_envs:Plant",
                            "max_episode_steps": 40, "agents": AGENTS} | env,
            "evaluation": {"every": None, "grid": 3, "episodes": 2} | (evaluation or {}),
        }
    )  # fmt: skip


def test_agents_differ_by_category_and_their_number_follows() -> None:
    e = fleet()
    assert e.federation.num_agents == 3
    family = build_family(e)
    dynamics = family.draw({}, seed=0, agent_ids=range(3))
    env: Any = vector_env_of(family, dynamics, [0, 1, 2])
    plants: list[Plant] = [row.env.unwrapped for row in env.envs]
    assert [plant.site for plant in plants] == ["north", "south", "harbour"]
    assert plants[2].valves == {"a": [1, None]}
    assert family.agent_label(0) == "agent 0 (north)"


def test_the_test_grid_is_the_fleet_or_the_listed_sites(tmp_path: Any) -> None:
    own = train(fleet(), tmp_path / "own")["evaluation"]
    assert own["dynamics"][ENVIRONMENT][:2] == ["north", "south"]
    assert own["nominal"] is None or np.isnan(own["nominal"])
    sites = {"far north": {"site": "north"}, "south": {"site": "south"}}
    listed = train(fleet({"environments": sites}), tmp_path / "listed")["evaluation"]
    assert listed["dynamics"][ENVIRONMENT] == ["far north", "south"]
    assert listed["worst"] == min(listed["returns"]) and len(listed["returns"]) == 2
    assert listed["returns"] == own["returns"][:2]  # the same seeds for the same places


def test_names_of_agents_come_from_a_mapping() -> None:
    e = fleet(agents={"pump 7": {"site": "north"}, "pump 9": {"site": "north"}})
    grid = build_family(e).grid({}, size=3, seed=0)
    assert [str(site) for site in grid[ENVIRONMENT]] == ["pump 7", "pump 9"]
    swapped = fleet(agents={"pump 9": {"site": "north"}, "pump 7": {"site": "north"}})
    assert e.fingerprint() != swapped.fingerprint()  # the order decides the ids


def test_sites_and_parameters_go_together() -> None:
    e = fleet(parameters={"mass": {"target": "mass"}}, perturb={"mass": 0.5})
    grid = build_family(e).grid(e.test_perturb, size=3, seed=0)
    assert grid["mass"].tolist() == [0.5, 1.0, 1.5] * 3
    named = build_family(e).named_grid({"heavy": {"site": "north", "mass": 1.5}})
    assert named["mass"].tolist() == [1.5] and named[ENVIRONMENT][0].arguments == {"site": "north"}


def test_named_test_environments_serve_every_family() -> None:
    e = from_dict(
        {
            "learner": {"name": "fedrdqn"},
            "environment": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
            "evaluation": {"environments": {"long": {"pole_length": 2.0}, "usual": {}}},
        }
    )
    grid = EvaluationGrid(e, build_family(e))
    assert grid.nominal_index == 1


@pytest.mark.parametrize(
    ("evaluation", "env", "words"),
    [
        ({}, {"agents": [{"sit": "north"}]}, ("environment.agents.0.sit", "'site'")),
        ({}, {"agents": [{}]}, ("environment.agents.0.site", "missing")),
        ({}, {"agents": []}, ("environment.agents", "at least one")),
        ({"environments": {"a": {"sit": 1}}}, {}, ("evaluation.environments.a.sit", "'site'")),
        ({"environments": {}}, {}, ("evaluation", "at least one environment")),
        (
            {"environments": {"a": {"site": "north"}}, "perturb": {"x": 0.5}},
            {},
            ("evaluation", "both perturb and environments"),
        ),
    ],
)
def test_a_wrong_fleet_is_one_line(
    evaluation: dict[str, Any], env: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        fleet(evaluation, **env)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_the_number_of_agents_must_be_that_of_the_list() -> None:
    data = fleet().to_dict()
    data["federation"]["num_agents"] = 4
    with pytest.raises(UserError, match=r"federation.num_agents: must be 3, the length of env"):
        from_dict(data)


def test_environments_of_a_fleet_must_share_their_spaces() -> None:
    agents = [{"site": "south"}, {"site": "north", "valves": "wrong"}]
    family = build_family(fleet(agents=agents))
    with pytest.raises(
        UserError, match=r"must have the same action space; got Discrete.9. at site=north"
    ):
        vector_env_of(family, family.draw({}, seed=0, agent_ids=range(2)), [0, 1])
