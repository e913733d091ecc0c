"""Learning results of docs/results.md: presets over several seeds, beside Stable-Baselines3.

    python benchmarks/learning.py cartpole acrobot pendulum --seeds 5 --jobs 2

Every pair of a method and a seed is trained in a process of its own, with one thread. Finished
runs are kept in --work, so that an interrupted benchmark can go on. Writes learning.json,
learning.md and a picture per task to --output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import learning_plot
import numpy as np
from scipy import stats

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "tune_configs"


@dataclass(frozen=True)
class Task:
    """Presets that are compared on one environment."""

    presets: tuple[str, ...]
    sb3: str = ""
    """Algorithm of Stable-Baselines3 beside them, on the nominal environment; empty for none."""
    statistics: tuple[str, ...] = ("average", "worst", "nominal")


TASKS = {
    "cartpole": Task(("cartpole-fedrdqn", "cartpole-dqnavg")),
    "cartpole-paper": Task(("cartpole-fedrdqn-paper", "cartpole-dqnavg-paper")),
    "acrobot": Task(("acrobot-fedrdqn", "acrobot-dqnavg"), sb3="dqn"),
    "pendulum": Task(("pendulum-fedrddpg", "pendulum-ddpgavg"), sb3="ddpg"),
}


def main() -> None:
    """Train what is missing, then write the results, the tables and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="+", choices=sorted(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--work", type=Path, default=Path("runs/learning"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    train_all(args.tasks, args.seeds, args.jobs, args.work)
    path = args.output / "learning.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in args.tasks:
        results[name] = summarise(name, args.seeds, args.work)
        learning_plot.draw(name, results[name], args.output / f"learning-{name}.png")
    args.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1))
    (args.output / "learning.md").write_text(markdown(results))
    print(markdown(results))


def methods(task: Task) -> list[str]:
    """Return the names of all methods of a task."""
    return [*task.presets, *([f"sb3-{task.sb3}"] if task.sb3 else [])]


def train_all(tasks: list[str], seeds: int, jobs: int, work: Path) -> None:
    """Train all methods with one seed before the next, so that an early look shows each."""
    todo = [
        (name, method, seed)
        for seed in range(seeds)
        for name in tasks
        for method in methods(TASKS[name])
        if not (folder(work, name, method, seed) / "summary.json").exists()
    ]
    with ThreadPoolExecutor(jobs) as executor:
        for done in executor.map(lambda job: train_one(work, *job), todo):
            print(done, flush=True)


def folder(work: Path, name: str, method: str, seed: int) -> Path:
    """Return the run directory of a method and a seed."""
    return work / name / f"{method}-seed{seed}"


def train_one(work: Path, name: str, method: str, seed: int) -> str:
    """Train one run in a process of its own and return its name. Raise if it fails."""
    out = folder(work, name, method, seed)
    if method.startswith("sb3-"):
        preset = CONFIGS / f"{TASKS[name].presets[0]}.yaml"
        command = [str(HERE / "sb3_single.py"), str(preset), str(seed), str(out)]
    else:
        preset = CONFIGS / f"{method}.yaml"
        sets = ["federation.backend=in_process", f"seed={seed}", "checkpoint.every=null"]
        command = ["-c", "from fedrl_ray.cli.main import main; main()", "train", str(preset)]
        command += [part for text in sets for part in ("--set", text)]
        command += ["--output", str(out), "--quiet", *(["--resume"] if out.exists() else [])]
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return f"{name} {method} seed {seed}"


def curves(path: Path, statistic: str) -> tuple[list[int], list[float]]:
    """Return the steps and one statistic of every evaluation of a run."""
    rows = [json.loads(line) for line in (path / "evaluations.jsonl").read_text().splitlines()]
    return [row["steps"] for row in rows], [row[statistic] for row in rows]


def summarise(name: str, seeds: int, work: Path) -> dict[str, Any]:
    """Return the curves, means over the last tenth and last values, by method and statistic."""
    task = TASKS[name]
    result: dict[str, Any] = {"seeds": seeds, "methods": {}}
    for method in methods(task):
        names = ("nominal",) if method.startswith("sb3-") else task.statistics
        paths = [folder(work, name, method, seed) for seed in range(seeds)]
        result["methods"][method] = {s: over_seeds(paths, s) for s in names}
    if task.sb3:
        result["against_sb3"] = {
            preset: difference(result["methods"], preset, f"sb3-{task.sb3}")
            for preset in task.presets
        }
    return result


def over_seeds(paths: list[Path], statistic: str) -> dict[str, Any]:
    """Return one statistic of one method over its seeds."""
    series = [curves(path, statistic) for path in paths]
    values = np.array([y for _, y in series])
    tail = max(1, values.shape[1] // 10)
    return {
        "steps": series[0][0],
        "curves": values.tolist(),
        "last_tenth": interval(values[:, -tail:].mean(1)),
        "last": interval(values[:, -1]),
    }


def interval(per_seed: np.ndarray) -> dict[str, Any]:
    """Return the mean over seeds with Student's 95% interval."""
    mean, n = float(per_seed.mean()), len(per_seed)
    half = float(stats.t.ppf(0.975, n - 1) * per_seed.std(ddof=1) / np.sqrt(n))
    return {"mean": mean, "low": mean - half, "high": mean + half, "seeds": per_seed.tolist()}


def difference(by_method: dict[str, Any], ours: str, theirs: str) -> dict[str, Any]:
    """Return ours minus theirs on the nominal environment over the last tenth, with a verdict.

    The interval is Welch's 95% interval. Ours is no worse if its lower end lies above -5% of the
    magnitude of their mean.
    """
    a, b = (np.array(by_method[m]["nominal"]["last_tenth"]["seeds"]) for m in (ours, theirs))
    ci = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    bound = -0.05 * abs(float(b.mean()))
    return {
        "difference": float(a.mean() - b.mean()),
        "low": float(ci.low),
        "high": float(ci.high),
        "bound": bound,
        "no_worse": bool(ci.low > bound),
    }


def markdown(results: dict[str, Any]) -> str:
    """Return a table per task: mean [95% interval] over seeds."""
    lines: list[str] = []
    for name, result in results.items():
        lines += [f"### {name}, {result['seeds']} seeds", ""]
        lines += [
            "| method | statistic | mean over last tenth | last evaluation |",
            "|---|---|---|---|",
        ]
        for method, statistics in result["methods"].items():
            for statistic, data in statistics.items():
                cells = [cell(data[key]) for key in ("last_tenth", "last")]
                lines.append(f"| {method} | {statistic} | {cells[0]} | {cells[1]} |")
        for preset, d in result.get("against_sb3", {}).items():
            lines += ["", sentence(preset, d)]
        lines.append("")
    return "\n".join(lines)


def sentence(preset: str, d: dict[str, Any]) -> str:
    """Return the comparison of a preset with Stable-Baselines3 in words."""
    verdict = "no worse" if d["no_worse"] else "not shown to be no worse"
    return (
        f"{preset} minus Stable-Baselines3, nominal: {d['difference']:.1f} "
        f"[{d['low']:.1f}, {d['high']:.1f}], bound {d['bound']:.1f}: {verdict}."
    )


def cell(data: dict[str, Any]) -> str:
    """Return a mean with its interval."""
    return f"{data['mean']:.1f} [{data['low']:.1f}, {data['high']:.1f}]"


if __name__ == "__main__":
    main()
