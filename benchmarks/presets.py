"""Train every experiment file of tune_configs/ for a while, and write the results.

    python benchmarks/presets.py --output docs/results

writes presets.json (every number) and presets.md (a table). All presets run in this process, one
after the other, each with the share of its own budget that `BUDGETS` names. A name on the command
line chooses a preset; the JSON file keeps its rows of the others.
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
"""Maps an environment, or else a learner, to a share of the preset's steps per agent."""
MOST = {"hopper": 10_000, "half_cheetah": 3_000, "walker2d": 3_000, "ant": 3_000}
"""Maps an environment to its most steps per agent, if the share would take hours."""
EPISODES = {"fedrq": 20, "fedrdqn": 5, "fedrddpg": 5, "rllib": 5}
"""Maps a learner to its most episodes per test environment."""


def main() -> None:
    """Train the presets, and write both files after each."""
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
    """Return a preset's returns before and after training; evaluations do not count as time."""
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
    """Return the preset in this process with a share of its steps, in whole rounds."""
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
    """Return the share that `BUDGETS` names."""
    return BUDGETS.get(preset.environment.name, BUDGETS[preset.learner.name])


def scores(driver: Driver) -> dict[str, float]:
    """Return the nominal, average and worst return of the global policy."""
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
