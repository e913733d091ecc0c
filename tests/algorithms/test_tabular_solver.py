"""Exact solutions of the tabular problem, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from algorithms.tabular.federated_mdp import (
    FederatedMDP,
    average_kernel,
    covering_vertices,
    exact_backup,
    expected_reward,
    neighbours,
    state_values,
    union_neighbours,
)
from algorithms.tabular.solver import (
    average_and_worst,
    averaged_operator,
    fedrq_fixed_point,
    greedy_policy,
    policy_value,
    robust_optimal_q,
    robust_policy_value,
    visit_weights,
)
from tests.support.tabular_problems import FEW_EXAMPLES, OMEGAS, SEEDS, random_mdp, two_states


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


@given(SEEDS, OMEGAS)
@FEW_EXAMPLES
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
@FEW_EXAMPLES
def test_the_robust_operator_is_a_gamma_contraction(seed: int, omega: float) -> None:
    mdp = random_mdp(seed)
    apply = averaged_operator(mdp, omega=omega, neighbours_KSX=union_neighbours(mdp)[None])
    one, two = np.random.default_rng(seed).normal(size=(2, 4, 2)) * 10
    distance = np.abs(apply(one.max(1)) - apply(two.max(1))).max()
    assert distance <= 0.9 * np.abs(one - two).max() + 1e-12


@given(SEEDS, OMEGAS)
@FEW_EXAMPLES
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


@given(SEEDS, OMEGAS, OMEGAS)
@FEW_EXAMPLES
def test_robust_values_fall_as_omega_grows(seed: int, one: float, two: float) -> None:
    mdp, (small, large) = random_mdp(seed), sorted((one, two))
    assert (robust_optimal_q(mdp, omega=small) >= robust_optimal_q(mdp, omega=large) - 1e-11).all()
    policy = greedy_policy(robust_optimal_q(mdp, omega=small))
    low = robust_policy_value(mdp, policy, omega=large)
    assert (robust_policy_value(mdp, policy, omega=small) >= low - 1e-11).all()


@given(SEEDS)
@FEW_EXAMPLES
def test_omega_zero_is_the_optimal_q_of_the_average_mdp(seed: int) -> None:
    mdp = random_mdp(seed)
    kernel_SAX, q_SA = average_kernel(mdp), np.zeros((4, 2))
    for _ in range(400):
        q_SA = mdp.reward + 0.9 * kernel_SAX @ q_SA.max(1)
    np.testing.assert_allclose(robust_optimal_q(mdp, omega=0.0), q_SA, atol=1e-10)


@given(SEEDS, OMEGAS)
@FEW_EXAMPLES
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


def test_fixed_point_of_fedrq_without_assumption_1_is_that_worked_out_by_hand() -> None:
    # N_0 is {0, 1} for one agent and {0} for the other. With omega .5 and Pbar(0|0) = .75:
    # union: v0 = 1 + .5 (.5 * .75 v0 + .5 * 0); FedRQ: v0 = 1 + .5 (.375 v0 + .5 (0 + v0) / 2)
    broken = two_states(kernels=np.array([[[[0.5, 0.5]], [[0, 1]]], [[[1, 0]], [[0, 1]]]]))
    assert robust_optimal_q(broken, omega=0.5)[0, 0] == pytest.approx(1 / (1 - 0.1875))
    assert fedrq_fixed_point(broken, omega=0.5)[0, 0] == pytest.approx(1 / (1 - 0.3125))


@given(SEEDS, OMEGAS)
@FEW_EXAMPLES
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
@FEW_EXAMPLES
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
@FEW_EXAMPLES
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
