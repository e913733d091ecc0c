"""The ring buffer, compared with a list per agent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algorithms.arrays import Home, to_numpy
from algorithms.replay import Replay
from algorithms.types import Transition

ARRAYS = Home(None)


def transition(n: int, number: int) -> Transition:
    """Return a transition whose entries encode the agent and the number of the step."""
    tag_N = 100.0 * np.arange(n) + number
    obs_N2 = np.stack([tag_N, tag_N + 0.25], axis=1).astype(np.float32)
    return Transition(obs_N2, np.full(n, number % 3), tag_N, obs_N2 + 0.5, np.arange(n) % 2)


def filled(n: int, capacity: int, count: int, home: Home = ARRAYS) -> Replay:
    replay = Replay(n, capacity, obs_size=2, action_size=1, home=home)
    for number in range(count):
        replay.add(transition(n, number))
    return replay


def every_row(n: int, size: int) -> np.ndarray:
    """Return uniform numbers that pick each stored row once."""
    return np.tile((np.arange(size) + 0.5) / size, (n, 1))


def test_a_sample_has_the_fields_that_were_stored() -> None:
    batch = filled(3, 10, 1).sample(np.zeros((3, 4)))
    stored = transition(3, 0)
    assert batch.obs.shape == batch.next_obs.shape == (3, 4, 2) and batch.action.shape == (3, 4, 1)
    for row in range(4):
        np.testing.assert_array_equal(batch.obs[:, row], stored.obs)
        np.testing.assert_array_equal(batch.next_obs[:, row], stored.next_obs)
        np.testing.assert_array_equal(batch.reward[:, row], stored.reward)
        np.testing.assert_array_equal(batch.terminated[:, row], stored.terminated)
        np.testing.assert_array_equal(batch.action[:, row, 0], stored.action)


@pytest.mark.parametrize("count", [1, 3, 5, 7, 12])
def test_the_newest_transitions_are_kept_and_only_those(count: int) -> None:
    size = min(count, 5)
    batch = filled(2, 5, count).sample(every_row(2, size))
    kept = set(range(count - size, count))
    assert set(batch.reward[0].tolist()) == kept
    assert set(batch.reward[1].tolist()) == {100.0 + number for number in kept}


def test_uniform_numbers_reach_the_first_and_the_last_row_and_no_empty_one() -> None:
    batch = filled(1, 100, 3).sample(np.array([[0.0, 0.34, 0.67, np.nextafter(1.0, 0.0)]]))
    assert batch.reward.tolist() == [[0.0, 1.0, 2.0, 2.0]]


def test_agents_with_histories_of_different_length_sample_their_own() -> None:
    long, short = filled(2, 6, 9), filled(2, 6, 2)
    long.load_agent_state(1, short.agent_state(1))
    batch = long.sample(np.array([every_row(1, 6)[0], [0.0, 0.2, 0.49, 0.5, 0.7, 0.99]]))
    assert set(batch.reward[0].tolist()) == {3.0, 4.0, 5.0, 6.0, 7.0, 8.0}
    assert batch.reward[1].tolist() == [100.0] * 3 + [101.0] * 3


@pytest.mark.parametrize("count", [0, 3, 6, 20])
def test_a_saved_agent_goes_on_as_if_never_stopped(count: int) -> None:
    replay, restored = filled(2, 6, count), filled(3, 6, 8)
    restored.load_agent_state(2, replay.agent_state(1))
    uniform = np.random.default_rng(0).random((3, 50))
    for number in range(count, count + 10):
        replay.add(transition(2, number))
        restored.add(Transition(*(np.concatenate([x, x[1:]]) for x in transition(2, number))))
        mine, theirs = replay.sample(uniform[:2]), restored.sample(uniform[[0, 0, 1]])
        np.testing.assert_array_equal(mine.reward[1], theirs.reward[2])
        np.testing.assert_array_equal(mine.obs[1], theirs.obs[2])


def test_a_cleared_buffer_forgets() -> None:
    replay = filled(2, 6, 6)
    replay.clear()
    replay.add(transition(2, 50))
    assert set(replay.sample(every_row(2, 6)).reward[0].tolist()) == {50.0}
    assert len(replay.agent_state(0)["rows"]) == 1


def test_bytes_per_agent_is_what_the_rows_take() -> None:
    replay = filled(1, 50, 50)
    assert (
        Replay.bytes_per_agent(50, obs_size=2, action_size=1)
        == replay.agent_state(0)["rows"].nbytes
    )


def test_tensors_hold_what_arrays_hold() -> None:
    arrays, tensors = (filled(2, 6, 9, Home(device)) for device in (None, "cpu"))
    uniform = np.random.default_rng(0).random((2, 50))
    for mine, theirs in zip(arrays.sample(uniform), tensors.sample(uniform), strict=True):
        assert isinstance(mine, np.ndarray) and isinstance(theirs, torch.Tensor)
        np.testing.assert_array_equal(mine, to_numpy(theirs))
    restored = filled(2, 6, 0, Home("cpu"))
    restored.load_agent_state(0, arrays.agent_state(1))
    np.testing.assert_array_equal(restored.agent_state(0)["rows"], arrays.agent_state(1)["rows"])


@pytest.mark.parametrize("field", ["obs", "action", "reward"])
def test_a_transition_of_another_width_is_refused(field: str) -> None:
    replay, good = filled(3, 10, 1), transition(3, 0)
    for wrong in (np.zeros((3, 3)), np.zeros((1, 1))):
        with pytest.raises(ValueError, match="reshape"):
            replay.add(good._replace(**{field: wrong}))
