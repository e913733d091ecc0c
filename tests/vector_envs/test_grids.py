"""Draws of dynamics, and test grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.vector_envs.parameters import UniformRange
from tests.support.vector_envs import family_of


def test_one_parameter_is_gridded_evenly_with_both_ends() -> None:
    family = family_of("cartpole")
    grid = family.grid({"pole_length": 0.5}, size=5, seed=0)
    assert grid["pole_length"].tolist() == [0.5, 0.75, 1.0, 1.25, 1.5]
    assert grid["gravity"].tolist() == [9.8] * 5


def test_several_parameters_are_gridded_by_corners_nominal_and_a_design() -> None:
    family = family_of("cartpole")
    perturb = {"gravity": UniformRange(low=5.0, high=15.0), "pole_length": 0.5}
    grid = family.grid(perturb, size=20, seed=0)
    points = np.stack([grid["pole_length"], grid["gravity"]], axis=1)
    corners = [[x, y] for x in (0.5, 1.5) for y in (5.0, 15.0)]
    assert points[:5].tolist() == [*corners, [1.0, 9.8]]
    assert len({tuple(point) for point in points}) == 20
    assert ((points >= (0.5, 5.0)) & (points <= (1.5, 15.0))).all()
    assert np.array_equal(family.grid(perturb, size=20, seed=0)["gravity"], grid["gravity"])


def test_no_perturbation_is_gridded_as_nominal() -> None:
    assert family_of("cartpole").grid({}, size=9, seed=0)["gravity"].tolist() == [9.8]


@pytest.mark.parametrize(
    ("perturb", "size", "words"),
    [
        ({"pole_length": 0.5}, 1, ("evaluation.grid", "at least 2", "got 1")),
        ({"pole_length": 0.5, "gravity": 0.5}, 4, ("evaluation.grid", "at least 5", "got 4")),
        ({"pole": 0.5}, 9, ("environment.perturb.pole", "pole_length")),
        ({"pole_length": 1.5}, 9, ("environment.perturb.pole_length", "[0.05, 10] m", "-0.5")),
        ({"force": ()}, 9, ("environment.perturb.force", "one value per agent")),
    ],
)
def test_a_wrong_grid_is_refused_in_one_line(
    perturb: dict[str, Any], size: int, words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        family_of("cartpole").grid(perturb, size=size, seed=0)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words)


def test_a_message_names_the_key_it_is_given() -> None:
    family, wrong = family_of("cartpole"), {"pole": 0.5}
    for call in (
        lambda key: family.ranges(wrong, key=key),
        lambda key: family.grid(wrong, size=9, seed=0, key=key),
        lambda key: family.draw(wrong, seed=0, agent_ids=[0], key=key),
        lambda key: family.ranges({"pole_length": 1.5}, key=key),
        lambda key: family_of("random_mdp").grid({"kernel": 0.5}, size=9, seed=0, key=key),
        lambda key: family_of("random_mdp").draw({"pole": 1}, seed=0, agent_ids=[0], key=key),
    ):
        with pytest.raises(UserError, match=r"^evaluation\.perturb\."):
            call("evaluation.perturb")


def test_draws_depend_on_agent_and_parameter_alone() -> None:
    family = family_of("cartpole")
    both = family.draw({"pole_length": 0.5, "gravity": 0.2}, seed=1, agent_ids=range(5))
    one = family.draw({"gravity": 0.2}, seed=1, agent_ids=[3, 1])
    assert one["gravity"].tolist() == both["gravity"][[3, 1]].tolist()
    assert one["pole_length"].tolist() == [1.0, 1.0]
    listed = family.draw({"gravity": (1.0, 2.0, 3.0)}, seed=1, agent_ids=[2, 0])
    assert listed["gravity"].tolist() == [3.0, 1.0]
