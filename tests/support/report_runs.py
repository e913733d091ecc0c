"""Run and sweep directories with known numbers, written without training anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fedrl_ray.config.loading import from_dict
from fedrl_ray.reports.logs import EvaluationLog, TrainingLog
from fedrl_ray.reports.runs import RunData
from tests.support.small import SMALL, merged

CHANGES: dict[str, Any] = {
    "federation": {"steps": 2000, "sync_interval": 20},
    "learner": {"replay_capacity": 1000},
    "evaluation": {"every": 100, "grid": 3, "episodes": 4},
}


def config_of(**changes: Any) -> dict[str, Any]:
    """Return the whole experiment of a written run."""
    return from_dict(merged(merged(SMALL, CHANGES), changes)).to_dict()


def returns_of(config: Mapping[str, Any], evaluation: int) -> np.ndarray:
    """Return [M, R] returns of one evaluation: robustness lowers the average, raises the worst."""
    m, r = config["evaluation"]["grid"], config["evaluation"]["episodes"]
    rng = np.random.default_rng([config["seed"], evaluation])
    omega = config["learner"]["omega"]
    nominal = np.linspace(0, 1, m)[:, None]
    level = 100 - 20 * omega - nominal * (60 - 50 * omega)
    return np.round(level + rng.normal(0, 2, (m, r)) + config["seed"] % 7 * 0.3, 3)


def run_data(
    returns: Any, *, label: str = "run", status: str = "completed", alone: bool = False,
    nominal: float = 1.0, **changes: Any,
) -> RunData:  # fmt: skip
    """Return a run as read, with these final returns [M, R] in all of three evaluations."""
    final = np.asarray(returns, dtype=np.float64)
    means = final.mean(1)
    statistics = {"average": means.mean(), "worst": means.min(), "nominal": nominal}
    empty = np.empty(0)
    return RunData(
        path=Path(label),
        label=label,
        config=config_of(**changes),
        status=status,
        reason=None,
        evaluations=EvaluationLog(
            steps=np.array([100, 200, 300]),
            statistics={name: np.full(3, value) for name, value in statistics.items()},
            final_returns=final,
            dynamics={"pole_length": np.linspace(0.5, 1.5, len(final)).tolist()},
            where="driver",
        ),
        training=TrainingLog(
            steps=empty, drift=empty, agents={}, rounds=0, seconds=0.0, learning=0.0, bytes=0,
            failures=(),
        ),
        summary={},
        profile={},
        lineage=[],
        videos=None,
        alone=alone,
    )  # fmt: skip


def write_run(
    path: Path, *, share: float = 1.0, status: str | None = "completed", **changes: Any
) -> Path:
    """Write a run directory with `share` of its budget spent; status None means unfinished."""
    config = config_of(**changes)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    steps, sync = config["federation"]["steps"], config["federation"]["sync_interval"]
    done = int(steps * share) // sync
    _write(path / "metrics.jsonl", [_round(config, number) for number in range(1, done + 1)])
    every = max(config["evaluation"]["every"] or steps, sync)
    rows = [_evaluation(config, n * every) for n in range(1, done * sync // every + 1)]
    _write(path / "evaluations.jsonl", rows)
    if status is not None:
        summary = {"status": status, "digest": "d" * 64, "state_digest": "e" * 64}
        (path / "summary.json").write_text(json.dumps(summary))
    return path


def write_sweep(
    path: Path,
    search: Mapping[str, Sequence[Any]],
    points: Sequence[Mapping[str, Any]],
    *,
    seeds: int = 2,
    trials: Mapping[int, Mapping[str, Any]] | None = None,
    scheduler: str = "fifo",
    **changes: Any,
) -> Path:
    """A sweep directory. trials: by number, what differs in trials.json and `share` of the budget
    (0: no run directory)."""
    (path / "trials").mkdir(parents=True)
    sweep = {"search": {k: list(v) for k, v in search.items()}, "seeds": seeds, "metric": "worst"}
    sweep["scheduler"] = {"name": scheduler}
    text = yaml.safe_dump(config_of(**changes) | {"sweep": sweep}, sort_keys=False)
    (path / "sweep.yaml").write_text(text)
    rows = []
    for number, (seed, point) in enumerate((s, p) for s in range(seeds) for p in points):
        row = {"name": f"{number:05d}-seed={seed}", "point": dict(point), "seed": seed}
        row |= {"status": "completed", "reason": None}
        own = dict((trials or {}).get(number, {}))
        share = own.pop("share", 1.0)
        rows.append(row | own)
        if share:
            done = rows[-1]["status"] == "completed"
            nested = merged(changes, _nested(point))
            write_run(path / "trials" / rows[-1]["name"], share=share, seed=seed,
                      status="completed" if done else None, **nested)  # fmt: skip
    (path / "trials.json").write_text(json.dumps({"trials": rows}))
    return path


def _nested(point: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in point.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        data = merged(data, value)
    return data


def _round(config: Mapping[str, Any], number: int) -> dict[str, Any]:
    k, sync = config["federation"]["num_agents"], config["federation"]["sync_interval"]
    rng = np.random.default_rng([config["seed"], number])
    returns = [None if rng.random() < 0.3 else float(10 * a + rng.random()) for a in range(k)]
    agents = {
        "episode_return": returns,
        "td_loss": [float(x) for x in rng.random(k) + 0.1],
        "degree_loss": [float(x) for x in rng.random(k) / 10],
        "update_norm": [1.0] * k,
    }
    row = {"round": number, "steps": number * sync, "agent_steps": number * sync * k}
    row |= {"drift": float(sync + rng.random()), "participants": k, "agents": agents}
    return row | {"seconds": 0.5, "learning": 0.4, "bytes": 1000 * k, "failures": []}


def _evaluation(config: Mapping[str, Any], steps: int) -> dict[str, Any]:
    returns = returns_of(config, steps)
    means = returns.mean(1)
    return {
        "round": steps // config["federation"]["sync_interval"],
        "steps": steps,
        "where": "driver",
        "nominal": float(means[0]),
        "average": float(means.mean()),
        "worst": float(means.min()),
        "returns": means.tolist(),
        "episode_returns": returns.tolist(),
        "dynamics": {
            "pole_length": np.linspace(0.5, 1.5, len(means)).tolist(),
            "gravity": [9.8] * len(means),
        },
    }


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
