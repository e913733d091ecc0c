"""Sets, backups and measures of the tabular problem, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.tabular.federated_mdp import (
    FederatedMDP,
    assumption1_violations,
    average_kernel,
    covering_vertices,
    expected_reward,
    heterogeneity,
    in_covering_set,
    neighbours,
    robust_backup,
    union_neighbours,
    worst_value,
)
from algorithms.types import Array
from tests.support.tabular_problems import FEW_EXAMPLES, OMEGAS, SEEDS, random_mdp, two_states


def test_heterogeneity_of_two_states_is_that_worked_out_by_hand() -> None:
    # Pbar = (.6, .4): 1 - .4/.6 = 1/3 and 1 - .2/.4 = 1/2; state 1 does not differ
    np.testing.assert_allclose(heterogeneity(two_states())[:, 0], [0.5, 0], atol=1e-15)


def test_reward_of_the_successor_counts_under_the_kernel() -> None:
    reward = np.zeros((2, 1, 2))
    reward[0, 0] = [1.0, 6.0]
    expected = expected_reward(reward, two_states().kernel_KSAX)
    np.testing.assert_allclose(expected[:, 0, 0], [0.8 + 1.2, 0.4 + 3.6])


def held(mdp: FederatedMDP, points: Array, s: int, a: int, *, omega: float) -> list[bool]:
    """Return the mask of the distributions [V, X] that lie in P_omega(s,a)."""
    kernels = np.repeat(average_kernel(mdp)[None], len(points), axis=0)
    kernels[:, s, a] = points
    return in_covering_set(kernels, mdp, omega=omega)[:, s, a].tolist()  # type: ignore[no-any-return]


@given(SEEDS, OMEGAS, OMEGAS)
@FEW_EXAMPLES
def test_covering_sets_are_nested(seed: int, one: float, two: float) -> None:
    mdp, (small, large) = random_mdp(seed, sparse=True), sorted((one, two))
    for s, a in np.ndindex(4, 2):
        vertices = covering_vertices(mdp, s, a, omega=small)
        assert all(held(mdp, vertices, s, a, omega=large))


@given(SEEDS, OMEGAS, OMEGAS)
@FEW_EXAMPLES
def test_covering_sets_grow_with_omega(seed: int, one: float, two: float) -> None:
    mdp, (small, large) = random_mdp(seed), sorted((one, two))
    if large > small + 1e-6:
        for s, a in np.ndindex(4, 2):
            vertices = covering_vertices(mdp, s, a, omega=large)
            assert not any(held(mdp, vertices, s, a, omega=small))


@given(SEEDS)
@FEW_EXAMPLES
def test_the_covering_set_holds_every_kernel_exactly_from_kappa_on(seed: int) -> None:
    mdp = random_mdp(seed)
    kappa_SA = heterogeneity(mdp)
    assert (kappa_SA > 0).all()
    for s, a in np.ndindex(4, 2):
        above = in_covering_set(mdp.kernel_KSAX, mdp, omega=kappa_SA[s, a] + 1e-9)
        below = in_covering_set(mdp.kernel_KSAX, mdp, omega=kappa_SA[s, a] - 1e-6)
        assert above[:, s, a].all()
        assert not below[:, s, a].all()


def test_a_kernel_off_the_neighbours_is_outside_the_covering_set() -> None:
    kernel = np.array([[[0.6, 0.4]], [[0.1, 0.9]]])
    np.testing.assert_array_equal(
        in_covering_set(kernel, two_states(), omega=1.0)[:, 0], [True, False]
    )


@pytest.mark.parametrize(
    ("row", "omega", "inside"),
    [
        ([0.6, 0.4], 0.0, True),  # Pbar itself
        ([0.6, 0.4 - 1e-8], 0.0, False),  # sums to less than 1
        ([0.6, 0.5], 0.0, False),  # sums to 1.1; at omega 0 only Pbar is in the set
        ([0.8, 0.2], 0.5, True),  # rest (.5, 0) = .5 e_0
        ([0.81, 0.19], 0.5, False),  # rest (.51, -.01)
        ([0.8, 0.3], 0.5, False),  # rest (.5, .1), nowhere negative, but it sums to .6
        ([0.3, 0.2], 0.5, False),  # rest (0, 0), nowhere negative, but it sums to 0
        ([0.3, 0.7], 0.5, True),  # rest (0, .5) = .5 e_1
        ([1.0, 0.0], 1.0, True),
        ([1.0, 1.0], 1.0, False),  # every row of two neighbours passed at omega 1
        ([0.0, 0.0], 1.0, False),
        ([np.nan, 0.5], 1.0, False),
    ],
)
def test_the_covering_set_around_an_average_of_06_and_04(
    row: list[float], omega: float, inside: bool
) -> None:
    # state 0 of `two_states`: Pbar = (.6, .4), N_s = both states
    assert held(two_states(), np.array([row]), 0, 0, omega=omega) == [inside]


@given(SEEDS, OMEGAS, st.floats(-0.5, 0.5).filter(lambda excess: abs(excess) > 1e-6))
@FEW_EXAMPLES
def test_no_row_of_another_sum_is_in_a_covering_set(seed: int, omega: float, excess: float) -> None:
    mdp = random_mdp(seed, sparse=True)
    for s, a in np.ndindex(4, 2):
        vertices = covering_vertices(mdp, s, a, omega=omega)
        moved = vertices + excess * (vertices == vertices.max(-1, keepdims=True))
        assert not any(held(mdp, moved, s, a, omega=omega))


@given(SEEDS)
@FEW_EXAMPLES
def test_the_minimum_over_neighbours_is_no_less_than_over_all_states(seed: int) -> None:
    mdp = random_mdp(seed, sparse=True)
    v_S = np.random.default_rng(seed).normal(size=4)
    own_KS = worst_value(v_S, neighbours(mdp.kernel_KSAX))
    union_S = worst_value(v_S, union_neighbours(mdp))
    assert (own_KS >= union_S).all()
    assert (union_S >= v_S.min()).all()


def test_assumption_1_fails_where_agents_reach_different_states() -> None:
    assert not assumption1_violations(two_states()).any()
    broken = two_states(kernels=np.array([[[[0.5, 0.5]], [[0, 1]]], [[[1, 0]], [[0, 1]]]]))
    np.testing.assert_array_equal(assumption1_violations(broken), [True, False])


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(-100, 100))
@FEW_EXAMPLES
def test_the_backup_at_omega_zero_is_that_of_qavg_to_the_bit(
    reward: float, value: float, worst: float
) -> None:
    backup = robust_backup(
        np.array(reward), np.array(value), np.array(worst), discount=0.9, omega=0.0
    )
    assert backup == reward + 0.9 * value


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kernel_KSAX": np.full((1, 2, 1, 2), 0.4)}, "distribution"),
        ({"kernel_KSAX": np.ones((2, 1, 2))}, "kernel_KSAX must be"),
        ({"reward": np.zeros(2)}, "reward must be"),
        ({"discount": 1.0}, "discount must lie"),
    ],
)
def test_a_problem_that_makes_no_sense_is_refused(change: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        FederatedMDP(**({**vars(two_states()), **change}))  # type: ignore[arg-type]
