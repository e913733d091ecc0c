"""Actions cross the border to the environment's space, and never leave it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from algorithms.types import Array
from fedrl_ray.vector_envs.actions import (
    ActionEncoding,
    RealActions,
    WholeActions,
    encoding_of,
)
from tests.support.odd_envs import SPACES, in_space


def learners_actions(actions: ActionEncoding, rows: int = 500) -> Array:
    """Return actions over the whole range of a learner, and a little beyond its bounds."""
    rng = np.random.default_rng(0)
    if actions.num_actions:
        return rng.integers(actions.num_actions, size=rows)
    low, high = np.array(actions.low), np.array(actions.high)
    drawn = rng.uniform(low, high, size=(rows, len(low)))
    drawn[0], drawn[1], drawn[2], drawn[3] = low, high, low - 1, high + 1
    return drawn.astype(np.float32)


@pytest.mark.parametrize("name", SPACES)
def test_a_decoded_action_lies_in_its_space(name: str) -> None:
    actions = encoding_of(SPACES[name])
    decoded = actions.decode(learners_actions(actions))
    assert decoded.dtype == SPACES[name].dtype
    assert all(in_space(SPACES[name], one) for one in decoded)


@pytest.mark.parametrize("name", SPACES)
def test_encoding_reverses_decoding(name: str) -> None:
    actions = encoding_of(SPACES[name])
    decoded = actions.decode(learners_actions(actions))
    again = actions.decode(actions.encode(decoded))
    tolerance = 1e-3 if decoded.dtype == np.float16 else 1e-6
    np.testing.assert_allclose(again.astype(float), decoded.astype(float), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", SPACES)
def test_torch_decodes_to_the_same_bits(name: str) -> None:
    actions = encoding_of(SPACES[name])
    own = learners_actions(actions)
    wanted, got = actions.decode(own), actions.decode_tensor(torch.from_numpy(own)).numpy()
    assert wanted.dtype == got.dtype and np.array_equal(wanted, got)


@pytest.mark.parametrize("name", SPACES)
def test_every_action_of_a_countable_space_can_be_chosen(name: str) -> None:
    actions = encoding_of(SPACES[name])
    if not actions.num_actions:
        return
    decoded = actions.decode(np.arange(actions.num_actions))
    assert len({one.tobytes() for one in decoded}) == actions.num_actions


@pytest.mark.parametrize("name", ["pump", "dials", "bytes"])
def test_whole_numbers_are_equally_wide(name: str) -> None:
    actions = encoding_of(SPACES[name])
    assert isinstance(actions, WholeActions)
    low, high = np.array(actions.low), np.array(actions.high)
    even = low + (np.arange(100_000)[:, None] + 0.5) / 100_000 * (high - low)
    settings = actions.decode(even.astype(np.float32))
    for dimension in range(settings.shape[1]):
        counts = np.unique(settings[:, dimension], return_counts=True)[1]
        assert len(counts) == round(high[dimension] - low[dimension])
        assert np.ptp(counts) <= 2


@pytest.mark.parametrize("name", ["narrow", "half", "single"])
def test_a_learners_bounds_lie_inside_the_box(name: str) -> None:
    box: Any = SPACES[name]
    actions = encoding_of(box)
    assert isinstance(actions, RealActions)
    low, high = (
        np.array(x, dtype=np.float32).astype(np.float64) for x in (actions.low, actions.high)
    )
    assert (low >= box.low.ravel()).all() and (high <= box.high.ravel()).all()


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.MultiDiscrete([11, 10, 10]), ("at most 1,024 combinations", "1,100")),
        (spaces.MultiBinary(11), ("at most 1,024 combinations", "2,048")),
        (spaces.Box(-np.inf, np.inf, (1,)), ("bounds in every dimension",)),
        (spaces.Box(-3.402823e38, 3.402823e38, (1,)), ("bounds in every dimension",)),
        (spaces.Box(-1.7e308, 1.7e308, (1,), np.float64), ("bounds in every dimension",)),
        (spaces.Box(0, 1, (0,)), ("at least one dimension",)),
        (spaces.Box(0, 2**40, (1,), np.int64), ("at most 4,194,304 whole numbers",)),
        (spaces.Text(4), ("Discrete, MultiDiscrete, MultiBinary or a bounded Box", "Text")),
        (spaces.Dict({"a": spaces.Discrete(2)}), ("environment.wrappers", "Dict")),
    ],
)
def test_a_space_that_no_learner_can_act_in_is_refused(
    space: spaces.Space[Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="action space must") as caught:
        encoding_of(space)
    assert all(word in str(caught.value) for word in words), caught.value
