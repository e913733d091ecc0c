"""Cost of a federation on this machine: K = 1 to 1,000 agents, E = 10 to 1,000 local steps.

    python benchmarks/federation.py --output docs/results

FedRDQN on cartpole with batch 16, hidden layers 128-128 and one update per step, on Ray workers.
It measures speed, the phases of a round, the time beyond learning, memory and start-up, and the
floor of `floor.py`. Writes federation.json and federation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
from federation_table import markdown
from floor import floor
from measured_agents import MeasuredAgents, Phases, ResidentBytes, TakeRounds, Watch
from ray_floor import exchange_seconds

from algorithms.replay import Replay
from fedrl_ray.agents.execution_profile import execution_profile
from fedrl_ray.agents.messages import RoundReport, WorkerFailure
from fedrl_ray.backends.plan import pack, require_memory
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.backends.requests import Request
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.federation.driver import Driver
from fedrl_ray.ray_cluster import cluster

WARM_UP = 3
HIDDEN, BATCH, REPLAY = [128, 128], 16, 1000


@dataclass(frozen=True)
class Case:
    """A federation of K agents with E local steps per round, and its number of timed rounds."""

    num_agents: int
    rounds: int
    sync_interval: int = 100
    agents_per_actor: int | str = "auto"


CASES = (
    Case(1, 30),
    Case(5, 30),
    Case(5, 30, agents_per_actor=1),
    Case(10, 30),
    Case(50, 10),
    Case(100, 10),
    Case(1000, 2),
    Case(10, 100, sync_interval=10),
    Case(10, 5, sync_interval=1000),
)
SMOKE = (Case(10, 2), Case(20, 1))


def main() -> None:
    """Measure every case, repeat by repeat, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two small cases, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    result: dict[str, Any] = {
        "profile": execution_profile(experiment(CASES[0]).to_dict()),
        "cpus": os.cpu_count(),
        "runs": [],
    }
    for repeat in range(1 if args.quick else args.repeats):
        for case in SMOKE if args.quick else CASES:
            row = {"repeat": repeat, "load_before": round(os.getloadavg()[0], 2)} | measure(case)
            result["runs"].append(row)
            print(time.strftime("%H:%M:%S"), row, flush=True)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "federation.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.output / "federation.md").write_text(markdown(result["runs"]))
    print(markdown(result["runs"]))


def experiment(case: Case) -> Experiment:
    """Return the experiment of a case."""
    return from_dict(
        {
            "federation": {
                "num_agents": case.num_agents,
                "agents_per_actor": case.agents_per_actor,
                "sync_interval": case.sync_interval,
                "steps": case.sync_interval * 10_000,
            },
            "learner": {
                "name": "fedrdqn",
                "omega": 0.3,
                "hidden_sizes": HIDDEN,
                "batch_size": BATCH,
                "replay_capacity": REPLAY,
                "learning_starts": 50,
                "max_grad_norm": 10.0,
            },
            "environment": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
            "evaluation": {"where": "none"},
        }
    )


@contextmanager
def started(e: Experiment) -> Iterator[tuple[Driver, RayBackend]]:
    """Start the workers and the driver; end them afterwards."""
    groups, requests = pack(e, cluster.capacity())
    require_memory(e, len(groups), cluster.memory())
    backend = RayBackend(
        e.to_dict(), groups, requests=requests, timeout=600.0, build=MeasuredAgents
    )
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(e, directory=Path(folder), backend=backend)
        try:
            yield driver, backend
        finally:
            driver.close()


def measure(case: Case) -> dict[str, Any]:
    """Measure one federation on a Ray of its own."""
    e = experiment(case)
    beginning = time.perf_counter()
    cluster.connect()
    try:
        with started(e) as (driver, backend):
            driver.step()
            start_up = time.perf_counter() - beginning
            for _ in range(WARM_UP - 1):
                driver.step()
            from_all(backend, TakeRounds())
            reports = [driver.step() for _ in range(case.rounds)]
            found = speed(case, backend, reports) | memory(case, backend)
            found["phases"] = phases(driver, backend, max(1, case.rounds // 4))
        found |= ray_alone(found, reports[0].bytes)
    finally:
        ray.shutdown()
    return found | {"start_up_s": round(start_up, 2)} | efficiency(case, found)


def from_all(backend: RayBackend, request: Request[Any]) -> list[Any]:
    """Return the replies of all workers to a request. Raise RuntimeError if one has failed."""
    replies = backend.call(range(len(backend.groups)), request)
    for reply in replies:
        if isinstance(reply, WorkerFailure):
            raise RuntimeError(str(reply))
    return replies


def speed(case: Case, backend: RayBackend, reports: list[RoundReport]) -> dict[str, Any]:
    """Return the speed of the timed rounds, and the shares of a round that are not learning.

    communicating: time beyond the learning of the slowest worker. waiting: mean time that a worker
    waits for the slowest one.
    """
    rounds = np.array(from_all(backend, TakeRounds()))  # [workers, rounds]
    seconds = np.array([r.seconds for r in reports])
    slowest = rounds.max(0)
    return {
        "K": case.num_agents,
        "E": case.sync_interval,
        "agents_per_actor": case.agents_per_actor,
        "actors": len(backend.groups),
        "round_s": float(np.median(seconds)),
        "agent_steps_per_s": case.sync_interval * case.num_agents / float(np.median(seconds)),
        "communicating": float(np.median(1 - slowest / seconds)),
        "communicating_ms": 1000 * float(np.median(seconds - slowest)),
        "waiting": float(np.median((slowest - rounds.mean(0)) / seconds)),
    }


def ray_alone(found: dict[str, Any], exchanged: int) -> dict[str, float]:
    """Return the milliseconds of the same exchange on Ray alone, and of one without bytes.

    An actor replies with four bytes per byte that it receives: two float64 sums for each float32
    parameter.
    """
    sent = exchanged // found["actors"] // 5
    busy = min(0.5, found["round_s"] * (1 - found["communicating"]))
    sizes = {"ray_alone_ms": sent, "ray_empty_ms": 0}
    return {
        name: 1000 * exchange_seconds(found["actors"], sent=size, answered=4 * size, busy=busy)
        for name, size in sizes.items()
    }


def memory(case: Case, backend: RayBackend) -> dict[str, Any]:
    """Return the resident memory of the workers and of the driver, and the replay in them."""
    replay = Replay.bytes_per_agent(REPLAY, obs_size=4, action_size=1)
    actors = sum(from_all(backend, ResidentBytes()))
    return {
        "actors_mib": actors / 2**20,
        "replay_mib": case.num_agents * replay / 2**20,
        "driver_mib": psutil.Process().memory_info().rss / 2**20,
    }


def phases(driver: Driver, backend: RayBackend, rounds: int) -> dict[str, float]:
    """Return each phase's share of the workers' learning time, from further rounds with clocks."""
    from_all(backend, Watch())
    from_all(backend, TakeRounds())
    for _ in range(rounds):
        driver.step()
    total = np.sum(from_all(backend, TakeRounds()))
    spent = from_all(backend, Phases())
    shares = {name: sum(s[name] for s in spent) / total for name in spent[0]}
    return shares | {"other": 1 - sum(shares.values())}


def efficiency(case: Case, found: dict[str, Any]) -> dict[str, Any]:
    """Return the time of an agent-step in its process, and the floor at the same packing."""
    most = -(-case.num_agents // found["actors"])
    least = floor(most, found["actors"], q_sizes=[4, *HIDDEN, 2], batch=BATCH)
    spent = 1e6 * found["round_s"] / (case.sync_interval * most)
    return {
        "agent_step_us": spent,
        "efficiency": least["floor_us"] / spent,
    } | least


if __name__ == "__main__":
    main()
