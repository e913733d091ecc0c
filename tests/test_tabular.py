"""The tabular problem and its exact solutions, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.tabular import (
    FederatedMDP,
    assumption1_violations,
    average_kernel,
    covering_vertices,
    exact_backup,
    expected_reward,
    heterogeneity,
    in_covering_set,
    neighbours,
    robust_backup,
    state_values,
    union_neighbours,
    worst_value,
)
from algorithms.tabular_solver import (
    average_and_worst,
    averaged_operator,
    fedrq_fixed_point,
    greedy_policy,
    policy_value,
    robust_optimal_q,
    robust_policy_value,
    visit_weights,
)
from algorithms.types import Array

OMEGAS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)
few_examples = settings(max_examples=25, deadline=None)


def two_states(*, terminal: bool = False, kernels: Array | None = None) -> FederatedMDP:
    """State 0 pays 1 and stays with probability .8 or .4; state 1 pays nothing and absorbs."""
    stay = np.array([0.8, 0.4])
    kernel = np.array([[[[p, 1 - p]], [[0, 1]]] for p in stay]) if kernels is None else kernels
    return FederatedMDP(
        kernel_KSAX=kernel,
        reward=np.array([[1.0], [0.0]]),
        terminal_S=np.array([False, terminal]),
        discount=0.5,
    )


def random_mdp(seed: int, *, num_agents: int = 3, sparse: bool = False) -> FederatedMDP:
    generator = np.random.default_rng(seed)
    kernel = generator.random((num_agents, 4, 2, 4))
    if sparse:
        kernel *= (generator.random(kernel.shape) < 0.3) | np.eye(4, dtype=bool)[:, None]
    return FederatedMDP(
        kernel_KSAX=kernel / kernel.sum(-1, keepdims=True),
        reward=generator.normal(size=(4, 2)),
        terminal_S=np.zeros(4, dtype=bool),
        discount=0.9,
    )


def test_optimum_of_two_states_is_that_worked_out_by_hand() -> None:
    # v1 = 0 and v0 = 1 + .5 (.5 (.6 v0 + .4 v1) + .5 min(v0, v1)), so v0 = 1 / (1 - .15)
    np.testing.assert_allclose(robust_optimal_q(two_states(), omega=0.5)[:, 0], [1 / 0.85, 0])
    # omega 0: v0 = 1 + .5 (.6 v0); omega 1: v0 = 1 + .5 * 0
    np.testing.assert_allclose(robust_optimal_q(two_states(), omega=0.0)[:, 0], [1 / 0.7, 0])
    np.testing.assert_allclose(robust_optimal_q(two_states(), omega=1.0)[:, 0], [1, 0])


def test_a_terminal_state_is_a_neighbour_of_value_zero() -> None:
    paying = FederatedMDP(
        kernel_KSAX=two_states().kernel_KSAX,
        reward=np.array([[1.0], [7.0]]),
        terminal_S=np.array([False, True]),
        discount=0.5,
    )
    np.testing.assert_allclose(robust_optimal_q(paying, omega=0.5)[:, 0], [1 / 0.85, 0])
    np.testing.assert_allclose(policy_value(paying, np.ones((2, 1)))[:, 1], 0)


def test_heterogeneity_of_two_states_is_that_worked_out_by_hand() -> None:
    # Pbar = (.6, .4): 1 - .4/.6 = 1/3 and 1 - .2/.4 = 1/2; state 1 does not differ
    np.testing.assert_allclose(heterogeneity(two_states())[:, 0], [0.5, 0], atol=1e-15)


def test_reward_of_the_successor_counts_under_the_kernel() -> None:
    reward = np.zeros((2, 1, 2))
    reward[0, 0] = [1.0, 6.0]
    expected = expected_reward(reward, two_states().kernel_KSAX)
    np.testing.assert_allclose(expected[:, 0, 0], [0.8 + 1.2, 0.4 + 3.6])


@given(SEEDS, OMEGAS)
@few_examples
def test_optimum_is_the_fixed_point_of_the_written_equation(seed: int, omega: float) -> None:
    mdp = random_mdp(seed)
    q_SA = robust_optimal_q(mdp, omega=omega)
    v_S = q_SA.max(1)
    for s in range(4):
        worst = min(v_S[x] for x in range(4) if mdp.kernel_KSAX[:, s, :, x].any())
        for a in range(2):
            mean = sum(mdp.kernel_KSAX[k, s, a] @ v_S for k in range(3)) / 3
            right = mdp.reward[s, a] + 0.9 * ((1 - omega) * mean + omega * worst)
            assert q_SA[s, a] == pytest.approx(right, abs=1e-11)


@given(SEEDS, OMEGAS)
@few_examples
def test_the_robust_operator_is_a_gamma_contraction(seed: int, omega: float) -> None:
    mdp = random_mdp(seed)
    apply = averaged_operator(mdp, omega=omega, neighbours_KSX=union_neighbours(mdp)[None])
    one, two = np.random.default_rng(seed).normal(size=(2, 4, 2)) * 10
    distance = np.abs(apply(one.max(1)) - apply(two.max(1))).max()
    assert distance <= 0.9 * np.abs(one - two).max() + 1e-12


@given(SEEDS, OMEGAS)
@few_examples
def test_the_backup_is_the_minimum_over_the_vertices_of_the_covering_set(
    seed: int, omega: float
) -> None:
    mdp = random_mdp(seed, sparse=True)
    v_S = np.random.default_rng(seed).normal(size=4)
    apply = averaged_operator(mdp, omega=omega, neighbours_KSX=union_neighbours(mdp)[None])
    for s, a in np.ndindex(4, 2):
        vertices = covering_vertices(mdp, s, a, omega=omega)
        assert len(vertices) == union_neighbours(mdp)[s].sum()
        np.testing.assert_allclose(vertices.sum(1), 1)
        lowest = (vertices @ v_S).min()
        assert apply(v_S)[s, a] == pytest.approx(mdp.reward[s, a] + 0.9 * lowest, abs=1e-12)


def held(mdp: FederatedMDP, points: Array, s: int, a: int, *, omega: float) -> list[bool]:
    """Which distributions [V, X] lie in P_omega(s,a)."""
    kernels = np.repeat(average_kernel(mdp)[None], len(points), axis=0)
    kernels[:, s, a] = points
    return in_covering_set(kernels, mdp, omega=omega)[:, s, a].tolist()  # type: ignore[no-any-return]


@given(SEEDS, OMEGAS, OMEGAS)
@few_examples
def test_covering_sets_are_nested(seed: int, one: float, two: float) -> None:
    mdp, (small, large) = random_mdp(seed, sparse=True), sorted((one, two))
    for s, a in np.ndindex(4, 2):
        vertices = covering_vertices(mdp, s, a, omega=small)
        assert all(held(mdp, vertices, s, a, omega=large))


@given(SEEDS, OMEGAS, OMEGAS)
@few_examples
def test_covering_sets_grow_with_omega(seed: int, one: float, two: float) -> None:
    mdp, (small, large) = random_mdp(seed), sorted((one, two))
    if large > small + 1e-6:
        for s, a in np.ndindex(4, 2):
            vertices = covering_vertices(mdp, s, a, omega=large)
            assert not any(held(mdp, vertices, s, a, omega=small))


@given(SEEDS)
@few_examples
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


@given(SEEDS, OMEGAS, OMEGAS)
@few_examples
def test_robust_values_fall_as_omega_grows(seed: int, one: float, two: float) -> None:
    mdp, (small, large) = random_mdp(seed), sorted((one, two))
    assert (robust_optimal_q(mdp, omega=small) >= robust_optimal_q(mdp, omega=large) - 1e-11).all()
    policy = greedy_policy(robust_optimal_q(mdp, omega=small))
    low = robust_policy_value(mdp, policy, omega=large)
    assert (robust_policy_value(mdp, policy, omega=small) >= low - 1e-11).all()


@given(SEEDS)
@few_examples
def test_omega_zero_is_the_optimal_q_of_the_average_mdp(seed: int) -> None:
    mdp = random_mdp(seed)
    kernel_SAX, q_SA = average_kernel(mdp), np.zeros((4, 2))
    for _ in range(400):
        q_SA = mdp.reward + 0.9 * kernel_SAX @ q_SA.max(1)
    np.testing.assert_allclose(robust_optimal_q(mdp, omega=0.0), q_SA, atol=1e-10)


@given(SEEDS, OMEGAS)
@few_examples
def test_the_greedy_policy_of_the_optimum_has_its_value_and_no_other_beats_it(
    seed: int, omega: float
) -> None:
    mdp = random_mdp(seed)
    q_SA = robust_optimal_q(mdp, omega=omega)
    best = robust_policy_value(mdp, greedy_policy(q_SA), omega=omega)
    np.testing.assert_allclose(best, q_SA.max(1), atol=1e-10)
    for actions in np.ndindex(2, 2, 2, 2):
        policy = np.eye(2)[list(actions)]
        assert (robust_policy_value(mdp, policy, omega=omega) <= best + 1e-10).all()


@given(SEEDS)
@few_examples
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


def test_fixed_point_of_fedrq_without_assumption_1_is_that_worked_out_by_hand() -> None:
    # N_0 is {0, 1} for one agent and {0} for the other. With omega .5 and Pbar(0|0) = .75:
    # union: v0 = 1 + .5 (.5 * .75 v0 + .5 * 0); FedRQ: v0 = 1 + .5 (.375 v0 + .5 (0 + v0) / 2)
    broken = two_states(kernels=np.array([[[[0.5, 0.5]], [[0, 1]]], [[[1, 0]], [[0, 1]]]]))
    assert robust_optimal_q(broken, omega=0.5)[0, 0] == pytest.approx(1 / (1 - 0.1875))
    assert fedrq_fixed_point(broken, omega=0.5)[0, 0] == pytest.approx(1 / (1 - 0.3125))


@given(SEEDS, OMEGAS)
@few_examples
def test_fixed_point_of_fedrq_is_the_optimum_under_assumption_1_and_above_it_else(
    seed: int, omega: float
) -> None:
    mdp, broken = random_mdp(seed), random_mdp(seed, sparse=True)
    optimum = robust_optimal_q(mdp, omega=omega)
    np.testing.assert_allclose(fedrq_fixed_point(mdp, omega=omega), optimum, atol=1e-11)
    gap = fedrq_fixed_point(broken, omega=omega) - robust_optimal_q(broken, omega=omega)
    assert gap.min() >= -1e-11


def test_weights_of_agents_tilt_the_kernel_and_their_own_omega_is_theirs() -> None:
    weights = visit_weights(np.array([3.0, 1.0]).reshape(2, 1, 1) * np.ones((2, 2, 1)), power=1)
    # P = .75 * .8 + .25 * .4 = .7: v0 = 1 / (1 - .5 * .7)
    q_SA = fedrq_fixed_point(two_states(), omega=0.0, weights_KSA=weights)
    assert q_SA[0, 0] == pytest.approx(1 / 0.65)
    # omega 0 and 1: v0 = 1 + .5 (.5 * .8 v0 + .5 * 0)
    q_SA = fedrq_fixed_point(two_states(), omega=np.array([0.0, 1.0]))
    assert q_SA[0, 0] == pytest.approx(1 / 0.8)


def test_policy_values_are_those_worked_out_by_hand() -> None:
    # v0 = 1 + .5 * .8 v0 and 1 + .5 * .4 v0
    policy = np.ones((2, 1))
    np.testing.assert_allclose(policy_value(two_states(), policy)[:, 0], [1 / 0.6, 1 / 0.8])
    average, worst = average_and_worst(two_states(), policy, start_S=np.array([1.0, 0.0]))
    assert (average, worst) == (pytest.approx((1 / 0.6 + 1 / 0.8) / 2), pytest.approx(1 / 0.8))


@given(SEEDS, OMEGAS)
@few_examples
def test_the_robust_value_of_a_policy_bounds_its_value_under_covered_kernels(
    seed: int, omega: float
) -> None:
    mdp, generator = random_mdp(seed), np.random.default_rng(seed)
    policy = generator.dirichlet(np.ones(2), size=4)
    mixed = (1 - omega) * average_kernel(mdp) + omega * generator.dirichlet(np.ones(4), (5, 4, 2))
    covered = FederatedMDP(
        kernel_KSAX=mixed, reward=mdp.reward, terminal_S=mdp.terminal_S, discount=0.9
    )
    bound = robust_policy_value(mdp, policy, omega=omega)
    assert (policy_value(covered, policy) >= bound - 1e-10).all()


@given(SEEDS, OMEGAS)
@few_examples
def test_the_mean_of_exact_backups_is_the_averaged_operator(seed: int, omega: float) -> None:
    mdp = random_mdp(seed, sparse=True)
    own = neighbours(mdp.kernel_KSAX)
    v_S = state_values(np.random.default_rng(seed).normal(size=(4, 2)), mdp.terminal_S)
    each = exact_backup(
        mdp.kernel_KSAX,
        expected_reward(mdp.reward, mdp.kernel_KSAX),
        own,
        np.tile(v_S, (3, 1)),
        discount=0.9,
        omega_N=np.full(3, omega),
    )
    apply = averaged_operator(mdp, omega=omega, neighbours_KSX=own)
    np.testing.assert_allclose(each.mean(0), apply(v_S), atol=1e-13)


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(-100, 100))
@few_examples
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
