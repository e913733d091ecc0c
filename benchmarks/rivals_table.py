"""Medians, ratios and the table of `rivals.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

OURS = "fedrl-ray"
Run = dict[str, Any]
HEAD = (
    "| federation | program | agent-steps/s | seconds per round | learning, % of a round | "
    f"{OURS} is faster by |\n|---|---|---|---|---|---|\n"
)


def markdown(result: dict[str, Any]) -> str:
    """A line per program and federation: median over repeats [lowest, highest]."""
    keys = dict.fromkeys((r["environment"], r["K"], r["program"]) for r in result["runs"])
    lines = [line(result["runs"], *key) for key in keys]
    lines += [f"\n{name} was not measured: {why}" for name, why in result["problems"].items()]
    return HEAD + "\n".join(lines) + "\n"


def line(runs: Sequence[Run], environment: str, num_agents: int, program: str) -> str:
    """One program on one federation."""
    mine = select(runs, environment, num_agents, program)
    name = f"| {environment}, K = {num_agents} | {program} |"
    failed = [run["error"] for run in mine if "error" in run]
    if failed:
        return f"{name} failed: {failed[0]} | | | |"
    ours = select(runs, environment, num_agents, OURS)
    ratios = "" if program == OURS else spread(speed_ratios(ours, mine), "{:.1f}")
    shares = [learning_share(run) for run in mine if "learning_s" in run]
    cells = (
        spread([rate(run) for run in mine], "{:,.0f}"),
        spread([float(np.mean(run["round_s"])) for run in mine], "{:.3f}"),
        spread(shares, "{:.1f}") if shares else "",
        ratios,
    )
    return f"{name} {' | '.join(cells)} |"


def select(runs: Sequence[Run], environment: str, num_agents: int, program: str) -> list[Run]:
    """The repeats of one program on one federation."""
    key = (environment, num_agents, program)
    return [run for run in runs if (run["environment"], run["K"], run["program"]) == key]


def rate(run: Run) -> float:
    """Agent-steps per second over the timed rounds of a run."""
    return float(run["steps_per_round"] / np.mean(run["round_s"]))


def learning_share(run: Run) -> float:
    """Percent of the timed rounds in which the slowest process was learning."""
    return float(100 * np.sum(run["learning_s"]) / np.sum(run["round_s"]))


def speed_ratios(ours: Sequence[Run], theirs: Sequence[Run]) -> list[float]:
    """Our rate over theirs within each repeat."""
    by_repeat = {run["repeat"]: rate(run) for run in ours if "error" not in run}
    return [by_repeat[r["repeat"]] / rate(r) for r in theirs if r["repeat"] in by_repeat]


def spread(values: Sequence[float], form: str) -> str:
    """Median [lowest, highest]."""
    if not values:
        return ""
    figures: tuple[Callable[[Any], Any], ...] = (np.median, np.min, np.max)
    middle, low, high = (form.format(f(values)) for f in figures)
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"
