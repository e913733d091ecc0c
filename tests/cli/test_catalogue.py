"""`list` and `describe`: columns that stay apart, and which learners fit which environments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedrl_ray.cli.catalogue import catalogue, describe, spec_kinds
from fedrl_ray.config import plugins
from fedrl_ray.config.presets import presets
from tests.support.vector_envs import family_of


def rows_below(heading: str, text: str) -> dict[str, str]:
    """Return the rows of a table of `describe`: name -> text."""
    table = text.split(heading)[1].split(":\n", 1)[1].split("\n\n")[0]
    return dict(re.split(" {2,}", line.strip(), maxsplit=1) for line in table.splitlines())


def test_names_in_the_list_never_touch_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    long = ["a-preset-of-forty-characters-and-no-less", "x" * 90, *presets()]
    paths = {name: Path("tune_configs") / f"{name}.yaml" for name in long}
    monkeypatch.setattr("fedrl_ray.cli.catalogue.presets", lambda: paths)
    rows = [line for line in catalogue().splitlines() if line.startswith("  ")]
    assert all(re.fullmatch(r"  \S+ {2,}\S.*", row) for row in rows)
    assert {row.split()[0] for row in rows} >= {*long, *plugins.names("environments")}
    starts = {row.index("tune_configs/") for row in rows if "tune_configs/" in row}
    assert len(starts) == 1  # the texts of a section begin in one column


@pytest.mark.parametrize("name", ["mountain_car_continuous", "acrobot", "half_cheetah"])
def test_parameters_are_described_in_columns(name: str) -> None:
    rows = rows_below("physical parameters", describe(name))
    assert set(rows) == set(plugins.load("environments", name).parameters)
    assert all(text.startswith("nominal ") and "  " not in text for text in rows.values())


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("acrobot", {"discrete": "fedrdqn, rllib"}),
        ("pendulum", {"continuous": "fedrddpg, rllib"}),
        ("hopper", {"continuous": "fedrddpg, rllib"}),
        ("frozen_lake", {"tabular": "fedrq"}),
        ("random_mdp", {"tabular": "fedrq"}),
        ("gymnasium", {"discrete": "fedrdqn, rllib", "continuous": "fedrddpg, rllib"}),
    ],
)
def test_describe_says_which_learners_fit(name: str, fits: dict[str, str]) -> None:
    assert rows_below("learners that fit", describe(name)) == fits


def test_describe_says_where_a_learner_learns() -> None:
    fits = {"tabular": "frozen_lake, random_mdp, windy_cliff"}
    assert rows_below("environments that fit", describe("fedrq")) == fits
    assert "gymnasium" in rows_below("environments that fit", describe("rllib"))["continuous"]


@pytest.mark.parametrize("name", plugins.names("environments"))
def test_the_kinds_that_describe_names_are_those_of_the_environments(name: str) -> None:
    if name in ("ant", "half_cheetah", "hopper", "walker2d"):
        pytest.importorskip("mujoco")
    assert family_of(name).spec.kind in spec_kinds(plugins.load("environments", name))
