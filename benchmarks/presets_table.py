"""The Markdown table of `presets.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = """# Every preset, trained for a while

Written by `python benchmarks/presets.py`. It trains each experiment file of tune_configs/ in one
process on one core, with one seed and a part of the file's budget. The table shows that every file
trains, and how fast. It does not compare methods: that takes several seeds and whole budgets.
"Average" is the mean return over the test grid, and "worst" that of its worst environment, with at
most 5 episodes per environment (20 for tabular learners), before and after training.

"""
COLUMNS = (
    "preset",
    "K",
    "steps per agent",
    "of its budget",
    "seconds",
    "agent steps/s",
    "initial average",
    "initial worst",
    "trained average",
    "trained worst",
)


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page: the head and one line per preset, in order of name."""
    lines = [_line(COLUMNS), _line(["---"] + ["---:"] * (len(COLUMNS) - 1))]
    lines += [_line(_cells(name, rows[name])) for name in sorted(rows)]
    return HEAD + "\n".join(lines) + "\n"


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    returns = [row[when][what] for when in ("initial", "trained") for what in ("average", "worst")]
    return [
        f"[{name}](../../tune_configs/{name}.yaml)",
        str(row["agents"]),
        f"{row['steps']:,}",
        f"{row['steps'] / row['budget']:.1%}",
        f"{row['seconds']:.0f}",
        f"{row['agent_steps_per_second']:,.0f}",
        *(_number(value) for value in returns),
    ]


def _number(value: float) -> str:
    """Return two decimals for a small return, one for a large one."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
