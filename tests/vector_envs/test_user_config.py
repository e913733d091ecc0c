"""Constructor arguments of a user's environment reach it as the YAML file has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fedrl_ray.vector_envs.user.config import GymnasiumConfig

VALUES = [
    [-2, 4.0, 5, 2],
    [[1, 2], [3, 4.5]],
    {"prices": [1, 2], "by hour": {"noon": [0.5]}},
    "north.map",
    True,
    None,
    3.0,
    [],
]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("place", ["list", "mapping", "kwargs"])
def test_an_argument_keeps_its_type(value: Any, place: str) -> None:
    own = {"map": value}
    keys: dict[str, Any] = {"list": [own], "mapping": {"harbour": own}, "kwargs": own}
    key = "kwargs" if place == "kwargs" else "agents"
    config = GymnasiumConfig(**{"factory": "a:b", key: keys[place]})
    read = config.kwargs if place == "kwargs" else config.agents
    found = read[0] if isinstance(read, tuple) else read
    assert found is not None
    argument = found["harbour"]["map"] if place == "mapping" else found["map"]
    assert argument == value and type(argument) is type(value)
    again = GymnasiumConfig(**json.loads(config.model_dump_json()))  # as it travels to a worker
    assert again == config
