"""Trains every experiment file of tune_configs/ for a while, and writes what came of it.

    python benchmarks/presets.py --output docs/results

writes presets.json (every number) and presets.md (a table). Everything runs in this process, one
preset after the other; `BUDGETS` says which share of its own budget a preset is given. A name on
the command line chooses that preset; what the JSON file holds of the others stays.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from presets_table import table

from fedrl_ray.agents.messages import Evaluation
from fedrl_ray.common.errors import UserError
from fedrl_ray.config.loading import load
from fedrl_ray.config.schema import Experiment
from fedrl_ray.federation.driver import Driver

FOLDER = Path(__file__).parents[1] / "tune_configs"
BUDGETS = {"fedrq": 1.0, "fedrdqn": 0.2, "fedrddpg": 0.3, "rllib": 1.0, "mountain_car": 0.8}
"""Environment, or else learner -> share of the preset's steps per agent."""
MOST = {"hopper": 10_000, "half_cheetah": 3_000, "walker2d": 3_000, "ant": 3_000}
"""Environment -> most steps per agent, where the share would take hours."""
EPISODES = {"fedrq": 20, "fedrdqn": 5, "fedrddpg": 5, "rllib": 5}
"""Learner -> most episodes per test environment."""


def main() -> None:
    """Train, and write after every preset."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    data_path = arguments.output / "presets.json"
    rows = json.loads(data_path.read_text()) if data_path.exists() else {}
    for name in arguments.names or sorted(path.stem for path in FOLDER.glob("*.yaml")):
        rows[name] = measure(name, arguments.fraction)
        print(name, json.dumps(rows[name]["trained"]), flush=True)
        data_path.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
        (arguments.output / "presets.md").write_text(table(rows))


def measure(name: str, fraction: float | None) -> dict[str, Any]:
    """One preset before and after training; the evaluation's time is not counted."""
    preset = load(FOLDER / f"{name}.yaml")
    experiment = shortened(name, preset, fraction)
    driver = Driver(experiment)
    before = scores(driver)
    started = time.perf_counter()
    for _ in driver.rounds():
        pass
    seconds = time.perf_counter() - started
    settings = experiment.federation
    return {
        "environment": preset.environment.name,
        "learner": preset.learner.name,
        "omega": preset.learner.settings.omega,
        "agents": settings.num_agents,
        "steps": settings.steps,
        "budget": preset.federation.steps,
        "seconds": round(seconds, 2),
        "agent_steps_per_second": round(settings.num_agents * settings.steps / seconds, 1),
        "initial": before,
        "trained": scores(driver),
    }


def shortened(name: str, preset: Experiment, fraction: float | None) -> Experiment:
    """The preset in this process with a part of its steps, a whole number of rounds."""
    budget, interval = preset.federation.steps, preset.round_steps
    steps = budget * (default_share(preset) if fraction is None else fraction)
    if fraction is None:
        steps = min(steps, MOST.get(preset.environment.name, budget))
    rounds = max(1, round(steps / interval))
    episodes = min(EPISODES[preset.learner.name], preset.evaluation.episodes)
    return load(
        FOLDER / f"{name}.yaml",
        [
            "federation.backend=in_process",
            f"federation.steps={rounds * interval}",
            f"evaluation.episodes={episodes}",
        ],
    )


def default_share(preset: Experiment) -> float:
    """The share that `BUDGETS` names."""
    return BUDGETS.get(preset.environment.name, BUDGETS[preset.learner.name])


def scores(driver: Driver) -> dict[str, float]:
    """Return of the global policy: nominal environment, and average and worst over the grid."""
    evaluation = driver.evaluate()
    if not isinstance(evaluation, Evaluation):
        raise UserError("a preset without an evaluation on the test grid cannot be measured")
    names = ("nominal", "average", "worst")
    return {name: round(getattr(evaluation, name), 3) for name in names}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train every preset for a while.")
    parser.add_argument("names", nargs="*", help="presets; all by default")
    parser.add_argument("--fraction", type=float, help="share of every preset's own steps")
    parser.add_argument("--output", type=Path, default=Path("docs/results"), help="folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
