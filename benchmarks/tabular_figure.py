"""The tabular figure: the distance of FedRQ from exact solutions.

    python benchmarks/tabular_figure.py --output docs/results

writes tabular.json (every number) and tabular.png. It runs the project's own learner, averaging
and environments in one process, with the loop of the driver.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tabular_plot import draw
from tabular_problems import (
    DISCOUNT,
    NUM_AGENTS,
    OMEGA,
    Federation,
    curve,
    distance,
    federation,
    fedrq_config,
    random_mdp,
    train,
    unlike_visitors,
)

from algorithms.tabular.federated_mdp import FederatedMDP, assumption1_violations, heterogeneity
from algorithms.tabular.solver import (
    average_and_worst,
    fedrq_fixed_point,
    greedy_policy,
    robust_optimal_q,
    robust_policy_value,
    visit_weights,
)
from algorithms.types import Array
from fedrl_ray.environments.windy_cliff import WindyCliff
from fedrl_ray.vector_envs.parameters import UniformRange
from fedrl_ray.vector_envs.tabular import TabularVectorEnv

SEEDS = (0, 1, 2)
EXACT_STEPS, SAMPLED_STEPS, PROBE_STEPS = 20_000, 100_000, 100_000
SAMPLED_TARGET = 0.05  # of max |Q*|
WINDY_DISCOUNT = 0.95
WINDY_OMEGAS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
CONSTANT = {"kind": "constant", "value": 0.1}
DECAYING = {"kind": "decaying"}
SCHEDULES = {
    "c / (c + visits)": (DECAYING, None),
    "visits^-0.6": ({"kind": "power", "exponent": 0.6}, 0.4),
    "shared clock": ({"kind": "decaying", "c": 40.0, "count": "steps"}, 1.0),
}
"""Step sizes, each with the power of its visits that weighs an agent; None: equal weights."""


def exact_curves(problem: Federation) -> list[dict[str, Any]]:
    """Return curves of exact FedRQ at E = 1, 10, 100, with a constant and a decaying step."""
    mdp, group = problem
    goal, curves = robust_optimal_q(mdp, omega=OMEGA), []
    for interval in (1, 10, 100):
        for step_size in (CONSTANT, DECAYING):
            config = fedrq_config(mode="exact", step_size=step_size)
            steps, tables, _ = train(group(0), config, steps=EXACT_STEPS, interval=interval)
            about = {"interval": interval, "step_size": step_size["kind"]}
            curves.append(about | curve(steps, tables, goal))
    return curves


def sampled_curves(problem: Federation) -> dict[str, Any]:
    """Return the distance of sampled FedRQ and QAvg from Q* at E = 100, a curve per seed."""
    mdp, group = problem
    goal = robust_optimal_q(mdp, omega=OMEGA)
    runs: dict[str, list[Any]] = {"fedrq": [], "qavg": []}
    for name, omega in (("fedrq", OMEGA), ("qavg", 0.0)):
        for seed in SEEDS:
            steps, tables, _ = train(
                group(seed), fedrq_config(omega=omega), steps=SAMPLED_STEPS, interval=100, seed=seed
            )
            runs[name].append(curve(steps, tables, goal))
    qavg_gap = distance(robust_optimal_q(mdp, omega=0.0), goal)
    target = SAMPLED_TARGET * float(np.abs(goal).max())
    return runs | {"target": target, "qavg_fixed_point": qavg_gap}


def schedule_curves() -> dict[str, Any]:
    """Return curves for step sizes that weigh agents by visits, on agents whose visits differ."""
    mdp, group = unlike_visitors()
    goal, curves = robust_optimal_q(mdp, omega=OMEGA), {}
    for name, (step_size, power) in SCHEDULES.items():
        to_optimum, to_own, gaps = [], [], []
        for seed in SEEDS:
            steps, tables, learner = train(
                group(seed),
                fedrq_config(step_size=step_size),
                steps=PROBE_STEPS,
                interval=100,
                seed=seed,
            )
            weights = None if power is None else visit_weights(learner.visits_NSA, power=power)
            own = fedrq_fixed_point(mdp, omega=OMEGA, weights_KSA=weights)
            to_optimum.append(curve(steps, tables, goal))
            to_own.append(curve(steps, tables, own))
            gaps.append(distance(own, goal))
        curves[name] = {"to_optimum": to_optimum, "to_own": to_own, "gap": float(np.mean(gaps))}
    return curves


def broken_assumption() -> dict[str, Any]:
    """Return exact FedRQ at E = 1 on agents that reach different neighbours."""
    mdp, group = federation(random_mdp(shared_support=False), {}, DISCOUNT)
    optimum, own = robust_optimal_q(mdp, omega=OMEGA), fedrq_fixed_point(mdp, omega=OMEGA)
    config = fedrq_config(mode="exact", step_size=CONSTANT)
    steps, tables, _ = train(group(0), config, steps=4000, interval=1)
    return {
        "violating_states": int(assumption1_violations(mdp).sum()),
        "gap": distance(own, optimum),
        "to_optimum": curve(steps, tables, optimum),
        "to_own": curve(steps, tables, own),
    }


def windy_cliff() -> list[dict[str, float]]:
    """Return values of exact FedRQ's policy (E = 100, decaying) on WindyCliff, for each omega.

    All values are discounted values of the start. `average` and `worst` are over the winds 0, 0.1,
    ..., 1. `robust` is the value under the worst kernel of the covering set of that omega, and
    `robust_qavg` the value of QAvg's policy under its own worst kernel there.
    """
    family, perturb = WindyCliff(WindyCliff.Config()), {"wind": UniformRange(low=0.0, high=1.0)}
    mdp, group = federation(family, perturb, WINDY_DISCOUNT)
    grid = family.kernels(family.grid(perturb, size=11, seed=0))
    unseen = FederatedMDP(**(vars(mdp) | {"kernel_KSAX": grid}))
    tables = {omega: _windy_table(group(0), omega) for omega in WINDY_OMEGAS}
    qavg, start, rows = greedy_policy(tables[0.0]), family.tables.start_S, []
    for omega, q_SA in tables.items():
        policy = greedy_policy(q_SA)
        average, worst = average_and_worst(unseen, policy, start_S=start)
        row = {"omega": omega, "average": average, "worst": worst}
        row["distance"] = distance(q_SA, robust_optimal_q(mdp, omega=omega))
        row["robust"] = float(robust_policy_value(mdp, policy, omega=omega) @ start)
        row["robust_qavg"] = float(robust_policy_value(mdp, qavg, omega=omega) @ start)
        rows.append(row)
    return rows


def _windy_table(group: TabularVectorEnv, omega: float) -> Array:
    config = fedrq_config(mode="exact", omega=omega, discount=WINDY_DISCOUNT)
    return train(group, config, steps=EXACT_STEPS, interval=100)[1][-1]


def main() -> None:
    """Compute everything, write the numbers and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("docs/results"), help="folder")
    output, started = parser.parse_args().output, time.perf_counter()
    problem = federation(random_mdp(), {}, DISCOUNT)
    data = {
        "settings": _settings(problem[0]),
        "exact": exact_curves(problem),
        "sampled": sampled_curves(problem),
        "schedules": schedule_curves(),
        "assumption_1_broken": broken_assumption(),
        "windy_cliff": windy_cliff(),
    }
    data["targets"] = _targets(data)
    output.mkdir(parents=True, exist_ok=True)
    (output / "tabular.json").write_text(json.dumps(data) + "\n")
    draw(data, output / "tabular.png")
    print(json.dumps(data["targets"], indent=1), f"\n{time.perf_counter() - started:.0f} s")


def _targets(data: dict[str, Any]) -> dict[str, Any]:
    """Return the targets that the project set itself, and whether they were met."""
    last = {(c["interval"], c["step_size"]): c["distance"][-1] for c in data["exact"]}
    sampled = [c["distance"][-1] for c in data["sampled"]["fedrq"]]
    found = {
        "exact E=1 constant": (last[1, "constant"], 1e-8),
        "exact E=100 decaying": (last[100, "decaying"], 1e-2),
        "sampled FedRQ, worst seed": (max(sampled), data["sampled"]["target"]),
    }
    return {
        name: {"distance": value, "below": bound, "met": value < bound}
        for name, (value, bound) in found.items()
    }


def _settings(mdp: FederatedMDP) -> dict[str, Any]:
    return {
        "num_agents": NUM_AGENTS,
        "discount": DISCOUNT,
        "omega": OMEGA,
        "seeds": SEEDS,
        "max_abs_optimum": float(np.abs(robust_optimal_q(mdp, omega=OMEGA)).max()),
        "largest_kappa": float(heterogeneity(mdp).max()),
    }


if __name__ == "__main__":
    main()
