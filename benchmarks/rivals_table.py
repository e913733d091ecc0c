"""Medians, ratios and the tables of `rivals.py`. Their lines fit into 100 characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

OURS = "fedrl-ray"
Run = dict[str, Any]
Cells = Callable[[Sequence[Run], Sequence[Run]], tuple[str, str]]
"""Returns both cells of a program's line, from our runs and its own."""
SPEED = ("agent-steps/s", "seconds per round")
RATIOS = (f"{OURS} is faster by", "learning, % of a round")


def markdown(result: dict[str, Any]) -> str:
    """Return both tables: a line per program and federation, median over repeats [range]."""
    keys = list(dict.fromkeys((r["environment"], r["K"], r["program"]) for r in result["runs"]))
    problems = [f"\n{name} was not measured: {why}" for name, why in result["problems"].items()]
    tables = [
        "\n".join([head(titles), *(line(result["runs"], cells, *key) for key in keys)])
        for titles, cells in ((SPEED, speed), (RATIOS, ratios))
    ]
    return "\n\n".join(tables) + "\n" + "".join(f"{text}\n" for text in problems)


def head(titles: Sequence[str]) -> str:
    """Return the first two lines of a table."""
    return f"| federation | program | {' | '.join(titles)} |\n|---|---|---|---|"


def line(runs: Sequence[Run], cells: Cells, environment: str, num_agents: int, program: str) -> str:
    """Return the line of one program on one federation."""
    mine = select(runs, environment, num_agents, program)
    name = f"| {environment}, K = {num_agents} | {program} |"
    failed = [run["error"] for run in mine if "error" in run]
    if failed:
        return f"{name} failed: {failed[0]} | |"
    return f"{name} {' | '.join(cells(select(runs, environment, num_agents, OURS), mine))} |"


def speed(ours: Sequence[Run], mine: Sequence[Run]) -> tuple[str, str]:
    """Return the rate and the time of a round."""
    seconds = [float(np.mean(run["round_s"])) for run in mine]
    return spread([rate(run) for run in mine], "{:,.0f}"), spread(seconds, "{:.3f}")


def ratios(ours: Sequence[Run], mine: Sequence[Run]) -> tuple[str, str]:
    """Return our speed over the program's (empty for ours), and its share of learning."""
    faster = "" if mine[0]["program"] == OURS else spread(speed_ratios(ours, mine), "{:.1f}")
    shares = [learning_share(run) for run in mine if "learning_s" in run]
    return faster, spread(shares, "{:.1f}")


def select(runs: Sequence[Run], environment: str, num_agents: int, program: str) -> list[Run]:
    """Return the repeats of one program on one federation."""
    key = (environment, num_agents, program)
    return [run for run in runs if (run["environment"], run["K"], run["program"]) == key]


def rate(run: Run) -> float:
    """Return the agent-steps per second over the timed rounds of a run."""
    return float(run["steps_per_round"] / np.mean(run["round_s"]))


def learning_share(run: Run) -> float:
    """Return the percentage of the timed rounds in which the slowest process was learning."""
    return float(100 * np.sum(run["learning_s"]) / np.sum(run["round_s"]))


def speed_ratios(ours: Sequence[Run], theirs: Sequence[Run]) -> list[float]:
    """Return our rate over theirs within each repeat."""
    by_repeat = {run["repeat"]: rate(run) for run in ours if "error" not in run}
    return [by_repeat[r["repeat"]] / rate(r) for r in theirs if r["repeat"] in by_repeat]


def spread(values: Sequence[float], form: str) -> str:
    """Return the median [lowest, highest]; a single value alone; nothing for no value."""
    if not values:
        return ""
    parts: tuple[Callable[[Any], Any], ...] = (np.median, np.min, np.max)
    middle, low, high = (form.format(f(values)) for f in parts)
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"
