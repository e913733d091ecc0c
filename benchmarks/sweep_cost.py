"""Cost of Ray Tune in a sweep: time to the first result, and time beside the training itself.

    python benchmarks/sweep_cost.py --repeats 3 --output docs/results

Two comparisons of commands that run one after the other: a sweep with the smallest possible Tuner,
and a sweep of two trials with a plain loop over the same two trials. Writes sweep_cost.json and
sweep_cost.md to --output.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PRESET = Path(__file__).parents[1] / "tune_configs" / "sweep-cartpole-quick.yaml"
MINIMAL = """
import os, sys
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
import ray
from ray import tune
class Minimal(tune.Trainable):
    def setup(self, config): pass
    def step(self): return {"value": 1.0, "done": True}
ray.init(address="local", include_dashboard=False, log_to_driver=False)
tune.Tuner(Minimal, param_space={"x": tune.grid_search([0, 1])},
           tune_config=tune.TuneConfig(metric="value", mode="max"),
           run_config=tune.RunConfig(name="tune", storage_path=sys.argv[1], verbose=0)).fit()
"""
SWEEP = [sys.executable, "-c", "from fedrl_ray.cli.main import main; main()", "sweep", str(PRESET)]
POINTS = ["sweep.search={learner.omega: [0.0, 0.1]}", "sweep.seeds=1", "sweep.max_concurrent=1"]
FIRST = [*POINTS, "federation.steps=200", "evaluation.every=100", "learner.learning_starts=50"]
WHOLE = [*POINTS, "federation.steps=10000", "evaluation.every=1000"]
LOOP = """
import sys, time
from pathlib import Path
from fedrl_ray.config import loading
from fedrl_ray.runs.run import Run
from fedrl_ray.sweeps.points import at_point, variants
started = time.perf_counter()
e = loading.load(sys.argv[1], sys.argv[3:])
for i, v in enumerate(variants(e, e.sweep)):
    data = at_point(e.to_dict(), v.point, v.seed).to_dict()
    data["federation"]["backend"] = "in_process"
    run = Run(loading.from_dict(data), Path(sys.argv[2]) / str(i))
    list(run)
    run.finish()
    run.close()
print(time.perf_counter() - started)
"""


def main() -> None:
    """Time all four commands, repeat by repeat, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    rows: dict[str, list[float]] = {"minimal": [], "first": [], "sweep": [], "loop": []}
    for _ in range(args.repeats):
        rows["minimal"].append(first_result(lambda out: [sys.executable, "-c", MINIMAL, out]))
        rows["first"].append(first_result(lambda out: sweep_command(out, FIRST)))
        rows["sweep"].append(trials_of_sweep())
        rows["loop"].append(trials_of_loop())
        print({name: f"{values[-1]:.1f} s" for name, values in rows.items()}, flush=True)
    write(args.output, rows)


def sweep_command(out: str, sets: list[str]) -> list[str]:
    """Return the command of a sweep into `out` with overrides."""
    return [*SWEEP, *[p for s in sets for p in ("--set", s)], "--output", out, "--quiet"]


def first_result(command: Any) -> float:
    """Return the seconds from the command to the first row in a trial's result.json."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            command(f"{folder}/out"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not any(p.stat().st_size for p in Path(folder).glob("out/tune/*/result.json")):
            if process.poll() not in (None, 0):
                raise SystemExit(f"the command failed: {command('OUT')}")
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        process.wait()
        return seconds


def trials_of_sweep() -> float:
    """Return the seconds from the start of the first trial to the end of the last.

    `first_result` measures the start-up.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(sweep_command(f"{folder}/out", WHOLE), check=True, stdout=subprocess.DEVNULL)
        rows = [json.loads(line) for path in Path(folder).glob("out/tune/*/result.json")
                for line in path.read_text().splitlines()]  # fmt: skip
        return max(r["timestamp"] for r in rows) - min(
            r["timestamp"] - r["time_total_s"] for r in rows
        )


def trials_of_loop() -> float:
    """Return the seconds of the same trials, one after the other, without Tune."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", LOOP, str(PRESET), f"{folder}/out", *WHOLE]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write(folder: Path, rows: dict[str, list[float]]) -> None:
    """Write sweep_cost.json and sweep_cost.md."""
    first = np.array(rows["first"]) - rows["minimal"]
    share = 1 - np.array(rows["loop"]) / rows["sweep"]
    text = (
        "| cost of Tune | mean | lowest | highest |\n|---|---|---|---|\n"
        + line("first result, seconds later than with a minimal Tuner", first, 1)
        + line("share of the trials' time, %", 100 * share, 1)
    )
    (folder / "sweep_cost.json").write_text(json.dumps(rows, indent=1))
    (folder / "sweep_cost.md").write_text(text)
    print(text)


def line(name: str, values: np.ndarray, digits: int) -> str:
    """Return one line of the table."""
    cells = (f"{x:.{digits}f}" for x in (values.mean(), values.min(), values.max()))
    return f"| {name} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
