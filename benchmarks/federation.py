"""What a round costs beyond learning, and what an agent costs in memory, on real Ray actors.

    python benchmarks/federation.py --output docs/results

FedRDQN on cartpole, batch 16, hidden 128-128, one update per step, E = 100: K agents on the CPUs of
this machine, packing auto and one agent per actor. Writes federation.json and federation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray

from fedrl_ray import cluster, packing
from fedrl_ray.driver import Driver
from fedrl_ray.experiments import from_dict
from fedrl_ray.local_agents import LocalAgents
from fedrl_ray.profile import execution_profile
from fedrl_ray.ray_pool import RayPool

CASES: list[tuple[int, int | str]] = [
    (5, 1),
    (5, "auto"),
    (10, "auto"),
    (50, "auto"),
    (100, "auto"),
]
WARM_UP, ROUNDS = 3, 20


class MeasuredAgents(LocalAgents):
    """Tells the memory of its process."""

    def resident_bytes(self) -> int:
        return int(psutil.Process(os.getpid()).memory_info().rss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    cluster.connect()
    rows = [measure(k, per_actor) for k, per_actor in CASES]
    ray.shutdown()
    result = {"profile": execution_profile(), "cpus": os.cpu_count(), "cases": rows}
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "federation.json").write_text(json.dumps(result, indent=1))
    (args.output / "federation.md").write_text(markdown(rows))
    print(markdown(rows))


def experiment(num_agents: int, agents_per_actor: int | str) -> Any:
    return from_dict(
        {
            "federation": {
                "num_agents": num_agents,
                "agents_per_actor": agents_per_actor,
                "steps": 100 * (WARM_UP + ROUNDS),
            },
            "learner": {"name": "fedrdqn", "hidden_sizes": [128, 128], "learning_starts": 50},
            "environment": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
            "evaluation": {"where": "none"},
        }
    )


@contextmanager
def measured_driver(e: Any) -> Iterator[tuple[Driver, RayPool]]:
    groups, requests = packing.plan(e, cluster.capacity())
    pool = RayPool(
        e.to_dict(),
        groups,
        requests=requests,
        timeout=600.0,
        host_class=MeasuredAgents,
    )
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(e, directory=Path(folder), pool=pool)
        yield driver, pool
        driver.close()


def measure(num_agents: int, agents_per_actor: int | str) -> dict[str, Any]:
    """Rounds of one federation: seconds, share beyond learning, memory of its actors."""
    started = time.perf_counter()
    with measured_driver(experiment(num_agents, agents_per_actor)) as (driver, pool):
        driver.step()
        start_up = time.perf_counter() - started
        for _ in range(WARM_UP - 1):
            driver.step()
        reports = [driver.step() for _ in range(ROUNDS)]
        memory = ray.get([a.call.remote("resident_bytes") for a in pool.actors()])
        seconds = np.array([r.seconds for r in reports])
        share = np.array([1 - r.learning / r.seconds for r in reports])
        return {
            "K": num_agents,
            "agents_per_actor": agents_per_actor,
            "actors": len(pool.groups),
            "start_up_s": round(start_up, 2),
            "round_s": round(float(np.median(seconds)), 4),
            "agent_steps_per_s": round(100 * num_agents / float(np.median(seconds))),
            "share_not_learning": quartiles(share),
            "actor_mib": round(float(np.mean(memory)) / 2**20, 1),
            "total_mib": round(float(np.sum(memory)) / 2**20, 1),
        }


def quartiles(values: np.ndarray) -> list[float]:
    """25%, 50% and 75% points."""
    return [round(float(v), 4) for v in np.percentile(values, [25, 50, 75])]


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| K | agents per actor | actors | start-up to first round, s | round, s | agent steps/s | "
        "share of a round that is not learning, median [quartiles] | MiB per actor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        low, mid, high = (f"{100 * v:.1f}" for v in r["share_not_learning"])
        lines.append(
            f"| {r['K']} | {r['agents_per_actor']} | {r['actors']} | {r['start_up_s']} | "
            f"{r['round_s']} | {r['agent_steps_per_s']:,} | {mid}% [{low}, {high}] | "
            f"{r['actor_mib']} |"
        )
    auto = [r for r in rows if r["agents_per_actor"] == "auto" and r["K"] >= 10]
    slope = (auto[-1]["total_mib"] - auto[0]["total_mib"]) / (auto[-1]["K"] - auto[0]["K"])
    lines += ["", f"Memory per further agent, replay of 1,000 included: {slope:.2f} MiB."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
