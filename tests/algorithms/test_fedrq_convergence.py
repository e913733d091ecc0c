"""Limits of FedRQ, compared with the exact solutions that it should reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.tabular.federated_mdp import assumption1_violations
from algorithms.tabular.solver import fedrq_fixed_point, robust_optimal_q, visit_weights
from tests.support.tabular_federations import distance, random_federation, unlike_visitors


def test_exact_fedrq_at_e_1_reaches_the_optimum() -> None:
    federation = random_federation(mode="exact", step_size={"kind": "constant"})
    optimum = robust_optimal_q(federation.mdp, omega=0.3)
    assert not assumption1_violations(federation.mdp).any()
    assert distance(federation.run(2500, interval=1), optimum) < 1e-8


def test_exact_fedrq_at_e_100_drifts_with_a_constant_step_and_not_with_a_decaying_one() -> None:
    drifting = random_federation(mode="exact", step_size={"kind": "constant", "value": 0.1})
    optimum = robust_optimal_q(drifting.mdp, omega=0.3)
    biased = drifting.run(4000, interval=100)
    assert distance(biased, optimum) > 4e-3
    assert distance(drifting.run(1000, interval=100), biased) < 1e-9
    decaying = random_federation(mode="exact")
    early = distance(decaying.run(2000, interval=100), optimum)
    late = distance(decaying.run(8000, interval=100), optimum)
    assert late < early / 4
    assert late < 1e-2 / 4


def test_sampled_fedrq_comes_nearer_with_samples() -> None:
    federation = random_federation(epsilon=0.5)
    optimum = robust_optimal_q(federation.mdp, omega=0.3)
    distances = [
        distance(federation.run(steps, interval=100), optimum) for steps in (300, 2700, 27000)
    ]
    assert distances[0] > 2 * distances[1] > 4 * distances[2]
    assert distances[2] < 0.005 * np.abs(optimum).max()


def test_a_step_that_decays_with_own_visits_reaches_the_optimum_however_visits_differ() -> None:
    federation = unlike_visitors()
    optimum = robust_optimal_q(federation.mdp, omega=0.2)
    reached = federation.run(30_000, interval=100)
    weights = visit_weights(federation.learner.visits_NSA, power=1.0)
    weighted = fedrq_fixed_point(federation.mdp, omega=0.2, weights_KSA=weights)
    assert distance(reached, optimum) < 0.2 * distance(reached, weighted)


@pytest.mark.parametrize(
    ("step_size", "power"),
    [
        ({"kind": "power", "exponent": 0.6}, 0.4),
        ({"kind": "decaying", "c": 16.0, "count": "steps"}, 1.0),
    ],
)
def test_other_clocks_reach_the_fixed_point_of_a_visit_weighted_kernel(
    step_size: dict[str, Any], power: float
) -> None:
    federation = unlike_visitors(step_size=step_size)
    optimum = robust_optimal_q(federation.mdp, omega=0.2)
    reached = federation.run(30_000, interval=100)
    weights = visit_weights(federation.learner.visits_NSA, power=power)
    weighted = fedrq_fixed_point(federation.mdp, omega=0.2, weights_KSA=weights)
    assert distance(reached, weighted) < 0.4 * distance(reached, optimum)


def test_without_assumption_1_exact_fedrq_reaches_its_own_fixed_point() -> None:
    federation = random_federation(
        environment={"shared_support": False}, mode="exact", step_size={"kind": "constant"}
    )
    assert assumption1_violations(federation.mdp).any()
    reached = federation.run(2500, interval=1)
    assert distance(reached, fedrq_fixed_point(federation.mdp, omega=0.3)) < 1e-8
    assert distance(reached, robust_optimal_q(federation.mdp, omega=0.3)) > 0.01


def test_every_agent_has_its_own_omega() -> None:
    omega = (0.0, 0.1, 0.5, 1.0)
    federation = random_federation(mode="exact", omega=omega, step_size={"kind": "constant"})
    expected = fedrq_fixed_point(federation.mdp, omega=np.array(omega))
    assert distance(federation.run(2500, interval=1), expected) < 1e-8
