"""Speed beside other libraries: the same federations on Stable-Baselines3, Flower and RLlib.

    python benchmarks/rivals.py --output docs/results

Every program runs alone, in processes of its own, in the order A B C A B C. Rounds are timed after
a warm-up, when agents update at every step. Writes rivals.json and rivals.md. docs/performance.md
says what each program does and does not do. Flower gets a virtual environment of its own under
build/flower.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from flower_environment import flower_python, versions
from rivals_table import markdown

HERE = Path(__file__).parent
PROGRAMS = {
    "fedrl-ray": HERE / "rival_fedrl_ray.py",
    "Stable-Baselines3": HERE / "rival_sb3.py",
    "RLlib": HERE / "rival_rllib.py",
    "Flower": HERE / "flower" / "rival.py",
}
WARM_UP, LONGEST = 2, 1200.0
DQN = {
    "hidden_sizes": [128, 128], "batch_size": 16, "replay_capacity": 1000, "learning_starts": 50,
    "learning_rate": 1e-3, "target_rate": 0.005, "epsilon": 0.1, "max_grad_norm": 10.0,
}  # fmt: skip
DDPG = {
    "hidden_sizes": [400, 300], "batch_size": 64, "replay_capacity": 100_000,
    "learning_starts": 100, "learning_rate": 1e-4, "target_rate": 0.001,
}  # fmt: skip
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "cartpole": {"learner": DQN, "parameter": "pole_length", "low": 0.5, "high": 1.5},
    "half_cheetah": {"learner": DDPG, "parameter": "gravity", "low": 6.867, "high": 12.753},
}


@dataclass(frozen=True)
class Entry:
    """A program on a federation of K agents, and its number of timed rounds with E = 100."""

    environment: str
    num_agents: int
    program: str
    rounds: int

    def case(self) -> dict[str, Any]:
        """Return the case for the program; agents differ in one parameter, by +-50% or +-30%."""
        e = ENVIRONMENTS[self.environment]
        values = np.random.default_rng(0).uniform(e["low"], e["high"], self.num_agents)
        return {
            "environment": self.environment,
            "num_agents": self.num_agents,
            "parameter": e["parameter"],
            "values": values.round(4).tolist(),
            "learner": e["learner"],
            "sync_interval": 100,
            "warm_up": WARM_UP,
            "rounds": self.rounds,
        }


ENTRIES = (
    Entry("cartpole", 1, "fedrl-ray", 20),
    Entry("cartpole", 1, "Stable-Baselines3", 10),
    Entry("cartpole", 1, "RLlib", 4),
    Entry("cartpole", 10, "fedrl-ray", 30),
    Entry("cartpole", 10, "Stable-Baselines3", 6),
    Entry("cartpole", 10, "Flower", 6),
    Entry("cartpole", 100, "fedrl-ray", 10),
    Entry("cartpole", 100, "Stable-Baselines3", 2),
    Entry("cartpole", 100, "Flower", 2),
    Entry("half_cheetah", 4, "fedrl-ray", 6),
    Entry("half_cheetah", 4, "Stable-Baselines3", 4),
)


def main() -> None:
    """Measure every program, repeat by repeat, and write both files after each repeat."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="4 agents and one round, to see that all run"
    )
    parser.add_argument("--only", choices=ENVIRONMENTS, help="one environment")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    pythons, problems = interpreters()
    entries = smoke() if args.quick else ENTRIES
    entries = tuple(e for e in entries if args.only in (None, e.environment))
    result: dict[str, Any] = {"machine": machine(pythons), "problems": problems, "runs": []}
    for repeat in range(1 if args.quick else args.repeats):
        for entry in entries:
            if entry.program not in problems:
                result["runs"].append(measure(entry, pythons[entry.program], repeat))
        write(args.output, result)  # finished repeats survive an interruption


def write(output: Path, result: dict[str, Any]) -> None:
    """Write rivals.json and rivals.md."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "rivals.json").write_text(json.dumps(result, indent=1) + "\n")
    (output / "rivals.md").write_text(markdown(result))
    print(markdown(result), flush=True)


def smoke() -> tuple[Entry, ...]:
    """Return every program on every environment, with at most 4 agents and one timed round."""
    small = (replace(e, rounds=1, num_agents=min(4, e.num_agents)) for e in ENTRIES)
    return tuple(dict.fromkeys(small))


def interpreters() -> tuple[dict[str, str], dict[str, str]]:
    """Return the Python interpreter of each program, and the reason if a program has none."""
    pythons, problems = dict.fromkeys(PROGRAMS, sys.executable), {}
    try:
        pythons["Flower"] = str(flower_python())
    except RuntimeError as error:
        problems["Flower"] = str(error)
    return pythons, problems


def measure(entry: Entry, python: str, repeat: int) -> dict[str, Any]:
    """Return one run of one program: its case, and its timed rounds or the error."""
    busy, load = wait_for_quiet(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        output, log = Path(folder, "output.json"), Path(folder, "log.txt")
        command = [python, str(PROGRAMS[entry.program]), json.dumps(entry.case()), str(output)]
        with log.open("w") as stream:
            code = run(command, stream)
        if code == 0 and output.exists():
            outcome = json.loads(output.read_text())
        else:
            outcome = {"error": (log.read_text().splitlines() or [f"exit status {code}"])[-1]}
    row = {
        "environment": entry.environment,
        "K": entry.num_agents,
        "program": entry.program,
        "repeat": repeat,
        "steps_per_round": 100 * entry.num_agents,
        "busy_before": busy,
        "load_before": round(load, 2),
    }
    print(time.strftime("%H:%M:%S"), row | outcome, flush=True)
    return row | outcome


def run(command: list[str], log: Any) -> int | None:
    """Return the exit status of a program; None if it took too long and was killed."""
    with subprocess.Popen(command, stdout=log, stderr=log, cwd=HERE.parent) as process:
        try:
            return process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            return None


def wait_for_quiet() -> float:
    """Wait at most 15 seconds until the processors are idle; return the share still busy."""
    for _ in range(15):
        busy = psutil.cpu_percent(interval=1.0) / 100
        if busy < 0.1:
            break
    return round(busy, 3)


def machine(pythons: dict[str, str]) -> dict[str, Any]:
    """Return the processor, the memory and the versions."""
    names = ("fedrl-ray", "torch", "ray", "stable-baselines3", "gymnasium", "numpy", "mujoco")
    found = {
        "processor": processor(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "versions": versions(Path(sys.executable), names),
    }
    if pythons["Flower"] != sys.executable:
        found["flower_versions"] = versions(Path(pythons["Flower"]), ("flwr", "ray", "torch"))
    return found


def processor() -> str:
    """Return the processor's name; on Linux its full one."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
