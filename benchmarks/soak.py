"""A thousand rounds with a random fault every 20 rounds on average.

    python benchmarks/soak.py --output docs/results

The soak checks that faults leave the bits equal and the memory constant. FedRDQN trains on cartpole
with tiny networks and 4 agents in 2 workers, on 3 nodes of this machine. It runs once undisturbed
and once with a seeded plan of faults: workers killed and hung, nodes killed and replaced, the
driver killed. Memory is the resident set of the program, the driver and the workers, sampled in
every round. Its growth over rounds is fitted by least squares, with a 95% interval. Writes
soak.json and soak.md to --output. Takes about 20 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from scipy.stats import linregress, t

from fedrl_ray.chaos.leftovers import AGENTS, DRIVER, take
from fedrl_ray.chaos.local_cluster import LocalCluster
from fedrl_ray.chaos.observer import Observer
from fedrl_ray.chaos.program import Program

EXPERIMENT = {
    "name": "soak",
    "federation": {
        "num_agents": 4,
        "steps": 20_000,
        "sync_interval": 20,
        "agents_per_actor": 2,
        "round_timeout": 10.0,
    },
    "learner": {
        "name": "fedrdqn",
        "omega": 0.3,
        "hidden_sizes": [16, 16],
        "learning_starts": 10,
        "batch_size": 8,
        "replay_capacity": 1000,
    },
    "environment": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "evaluation": {"every": None, "where": "none"},
    "checkpoint": {"every": 200, "keep": 2},
}
KINDS = ("agent killed", "agent hung", "node killed", "driver killed")
MEAN_GAP, WARM_UP = 20, 50
LOOK_SECONDS = 0.05


def main() -> None:
    """Run the soak and write both files. Exit with 1 if bits differ or processes are left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-soak-") as folder:
        result = soak(Path(folder), args.rounds, args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "soak.json").write_text(json.dumps(result, indent=1))
    (args.output / "soak.md").write_text(markdown(result))
    print(markdown(result))
    sys.exit(0 if result["digests_equal"] and not any(result["left"].values()) else 1)


def soak(folder: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Run both runs on one cluster and return what they did."""
    config = folder / "soak.yaml"
    config.write_text(yaml.safe_dump(EXPERIMENT))
    cluster = LocalCluster(3, cpus=4)
    try:
        cluster.start()
        calm = Soak(cluster, config, folder / "undisturbed", rounds, [])
        calm.run()
        faulty = Soak(cluster, config, folder / "disturbed", rounds, plan(rounds, seed))
        faulty.run()
        left = take(cluster.environment)
    finally:
        cluster.close()
    return {
        "rounds": rounds,
        "seed": seed,
        "faults": dict(faulty.injected),
        "rounds_redone": faulty.observer.redone,
        "digests_equal": digests(calm.output) == digests(faulty.output),
        "left": left,
        "seconds": {"undisturbed": round(calm.seconds), "disturbed": round(faulty.seconds)},
        "memory": {"undisturbed": calm.growths(), "disturbed": faulty.growths()},
    }


def plan(rounds: int, seed: int) -> list[tuple[int, str, float]]:
    """Return the faults: the round before each, its kind, and a number in [0, 1) for its victim."""
    rng = np.random.default_rng(seed)
    when = rng.choice(np.arange(5, rounds - 5), size=rounds // MEAN_GAP, replace=False)
    return [(int(at), str(rng.choice(KINDS)), float(rng.random())) for at in np.sort(when)]


class Soak:
    """One observed run with a plan of faults."""

    def __init__(
        self, cluster: LocalCluster, config: Path, output: Path, rounds: int, plan: list[Any]
    ) -> None:
        self.cluster, self.output, self._plan = cluster, output, list(plan)
        steps = f"federation.steps={rounds * EXPERIMENT['federation']['sync_interval']}"
        arguments = [str(config), "--set", steps, "--output", str(output), "--json"]
        self._program = Program(arguments, cluster.environment, output.with_suffix(".log"))
        self.observer, self.injected = Observer(output), Counter[str]()
        self._samples: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._repair: Future[None] | None = None
        self.seconds = 0.0

    def run(self) -> None:
        """Run to the end. Raise SystemExit if the run fails."""
        started = time.monotonic()
        self._program.start()
        with ThreadPoolExecutor(1) as self._repairs:
            try:
                while self._program.status is None:
                    self._look()
                    time.sleep(LOOK_SECONDS)
            finally:
                self._program.kill()
        self.seconds = time.monotonic() - started
        if self._program.status:
            raise SystemExit(f"the run failed: {self._program.output()}")

    def growths(self) -> dict[str, dict[str, float]]:
        """Return the mean memory of each kind of process, and its growth over rounds."""
        return {name: growth(np.array(points)) for name, points in self._samples.items()}

    def _look(self) -> None:
        before = self.observer.highest
        self.observer.look()
        at = self.observer.highest
        if at > before:
            self._sample(at)
        if self._plan and at >= self._plan[0][0]:
            _, kind, who = self._plan.pop(0)
            self._inject(kind, who)

    def _sample(self, at: int) -> None:
        self._note("program", at, [self._program.pid])
        self._note("driver", at, self.cluster.processes(DRIVER))
        self._note("workers, mean", at, self.cluster.processes(AGENTS))

    def _note(self, name: str, at: int, pids: list[int]) -> None:
        sizes = [size for pid in pids if (size := resident_mib(pid))]
        if sizes and at > WARM_UP:
            self._samples[name].append((at, float(np.mean(sizes))))

    def _inject(self, kind: str, who: float) -> None:
        agents, nodes = self.cluster.processes(AGENTS), self._nodes()
        if kind == "node killed" and nodes:
            self.cluster.kill(nodes[int(who * len(nodes))])
            self._repair = self._repairs.submit(self.cluster.start)
        elif kind == "driver killed" and (drivers := self.cluster.processes(DRIVER)):
            os.kill(drivers[0], signal.SIGKILL)
        elif agents:
            hang = kind == "agent hung"
            os.kill(agents[int(who * len(agents))], signal.SIGSTOP if hang else signal.SIGKILL)
            kind = "agent hung" if hang else "agent killed"
        else:
            return
        self.injected[kind] += 1

    def _nodes(self) -> list[Any]:
        """Return the nodes that may be killed: all but the head, none while another is starting."""
        if self._repair is not None:
            if not self._repair.done():
                return []
            self._repair.result()
        return self.cluster.nodes[1:]


def resident_mib(pid: int) -> float | None:
    """Return the resident memory of a process; None if it is gone or still starting."""
    try:
        process = psutil.Process(pid)
        young = time.time() - process.create_time() < 15
        return None if young else process.memory_info().rss / 2**20
    except psutil.Error:
        return None


def growth(points: np.ndarray) -> dict[str, float]:
    """Fit MiB over rounds, [n, 2] as (round, MiB), by least squares."""
    fit = linregress(points[:, 0], points[:, 1])
    half = float(t.ppf(0.975, len(points) - 2) * fit.stderr)
    return {
        "mean_mib": round(float(points[:, 1].mean()), 1),
        "mib_per_100_rounds": round(100 * float(fit.slope), 3),
        "half_width": round(100 * half, 3),
        "samples": len(points),
    }


def digests(run: Path) -> tuple[str, str]:
    """Return both digests of a run."""
    summary = json.loads((run / "summary.json").read_text())
    return summary["digest"], summary["state_digest"]


def markdown(result: dict[str, Any]) -> str:
    """Return the result in words, with a table of the memory."""
    faults = ", ".join(f"{count} x {kind}" for kind, count in sorted(result["faults"].items()))
    lines = [
        f"{result['rounds']} rounds, {sum(result['faults'].values())} faults ({faults}), seed "
        f"{result['seed']}. {result['rounds_redone']} rounds were done twice.",
        f"The disturbed run took {result['seconds']['disturbed']} s, the undisturbed one "
        f"{result['seconds']['undisturbed']} s.",
        f"Digests equal: {'yes' if result['digests_equal'] else 'no'}. "
        f"Leftovers: {sum(result['left'].values())}.",
        "",
        "| run | process | MiB | MiB per 100 rounds, 95% interval | samples |",
        "|---|---|---|---|---|",
    ]
    for run, processes in result["memory"].items():
        for name, s in processes.items():
            low, high = (s["mib_per_100_rounds"] + d * s["half_width"] for d in (-1, 1))
            lines.append(
                f"| {run} | {name} | {s['mean_mib']} | {s['mib_per_100_rounds']:.2f} "
                f"[{low:.2f}, {high:.2f}] | {s['samples']} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
