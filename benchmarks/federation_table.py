"""The tables of `federation.py`. Their lines fit into 100 characters, so that a page can hold them.

The keys of a run are those of federation.json, in which workers are called actors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Run = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of measurements: the key of a run, and how its values are printed."""

    title: str
    key: str
    form: str
    factor: float = 1.0

    def cell(self, case: Sequence[Run]) -> str:
        """Return the median over repeats [lowest, highest]."""
        return spread([self.factor * run[self.key] for run in case], self.form)


SPEED = (
    Column("agent-steps/s", "agent_steps_per_s", "{:,.0f}"),
    Column("seconds per round", "round_s", "{:.3f}"),
    Column("start-up, s", "start_up_s", "{:.1f}"),
)
FLOOR = (
    Column("us per agent-step", "agent_step_us", "{:.0f}"),
    Column("floor, us", "floor_us", "{:.0f}"),
    Column("efficiency, %", "efficiency", "{:.0f}", 100),
    Column("waiting, %", "waiting", "{:.1f}", 100),
)
COMMUNICATION = (
    Column("communication, %", "communicating", "{:.1f}", 100),
    Column("communication, ms", "communicating_ms", "{:.1f}"),
    Column("Ray alone, ms", "ray_alone_ms", "{:.1f}"),
    Column("Ray empty, ms", "ray_empty_ms", "{:.1f}"),
)
MEMORY = (
    Column("all workers, MiB", "actors_mib", "{:,.0f}"),
    Column("replay in them, MiB", "replay_mib", "{:,.0f}"),
    Column("driver, MiB", "driver_mib", "{:,.0f}"),
)


def markdown(runs: Sequence[Run]) -> str:
    """Return all tables with their captions."""
    keys = list(dict.fromkeys((r["K"], r["E"], r["agents_per_actor"]) for r in runs))
    cases = [select(runs, key) for key in keys]
    packed = [select(runs, key) for key in keys if key[1:] == (100, "auto")]
    return "\n".join(
        [
            "Speed:\n",
            case_table(cases, SPEED, workers=True),
            "\nAn agent-step and its floor:\n",
            case_table(cases, FLOOR),
            "\nTime of a round that is not learning:\n",
            case_table(cases, COMMUNICATION),
            "\nWhere the workers' learning time goes (E = 100, `agents_per_actor: auto`):\n",
            phase_table(packed),
            "\nMemory (E = 100, `agents_per_actor: auto`):\n",
            memory_table(packed),
            f"\nMemory per further agent, without replay: {per_agent(packed)} MiB.\n",
        ]
    )


def select(runs: Sequence[Run], key: tuple[Any, ...]) -> list[Run]:
    """Return the repeats of one case."""
    return [r for r in runs if (r["K"], r["E"], r["agents_per_actor"]) == key]


def case_table(
    cases: Sequence[Sequence[Run]], columns: Sequence[Column], *, workers: bool = False
) -> str:
    """Return a table with a line per case; `workers` adds their number."""
    head = ["K", "E", "agents_per_actor", *(["workers"] if workers else [])]
    lines = []
    for case in cases:
        first = case[0]
        about = [f"{first['K']:,}", f"{first['E']:,}", str(first["agents_per_actor"])]
        about += [str(first["actors"])] if workers else []
        lines.append([*about, *(column.cell(case) for column in columns)])
    return table([*head, *(column.title for column in columns)], lines)


def phase_table(packed: Sequence[Sequence[Run]]) -> str:
    """Return a table of the shares of the phases in the workers' learning time."""
    names = list(packed[0][0]["phases"])
    lines = [
        [
            f"{case[0]['K']:,}",
            *(spread([100 * run["phases"][name] for run in case], "{:.0f}") for name in names),
        ]
        for case in packed
    ]
    return table(["K", *(f"{name}, %" for name in names)], lines)


def memory_table(packed: Sequence[Sequence[Run]]) -> str:
    """Return a table of the resident memory of the processes."""
    lines = [[f"{c[0]['K']:,}", *(column.cell(c) for column in MEMORY)] for c in packed]
    return table(["K", *(column.title for column in MEMORY)], lines)


def per_agent(packed: Sequence[Sequence[Run]]) -> str:
    """Return the memory of a further agent, from K = 10 to the largest K.

    Both run in the same number of workers.
    """
    (small,) = (case for case in packed if case[0]["K"] == 10)
    growths = [
        (own(many) - own(few)) / (many["K"] - few["K"])
        for few, many in zip(small, packed[-1], strict=True)
    ]
    return f"{np.median(growths):.2f} [{min(growths):.2f}, {max(growths):.2f}]"


def own(run: Run) -> float:
    """Return the memory of the workers without replay, in MiB."""
    return float(run["actors_mib"] - run["replay_mib"])


def spread(values: Sequence[float], form: str) -> str:
    """Return the median [lowest, highest]; a single value alone."""
    low, mid, high = (form.format(v) for v in (min(values), float(np.median(values)), max(values)))
    return mid if len(values) == 1 else f"{mid} [{low}, {high}]"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [f"| {' | '.join(cells)} |" for cells in (head, *lines)]
    return "\n".join([rows[0], "|" + "---|" * len(head), *rows[1:]])
