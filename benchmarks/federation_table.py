"""The tables of `federation.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Run = dict[str, Any]
HEAD = (
    "| K | E | agents per actor | actors | agent-steps/s | seconds per round | "
    "us per agent-step and process | floor, us | efficiency, % | communication, % | "
    "the same, ms | Ray alone, ms | Ray without bytes, ms | waiting, % | start-up, s |\n"
    + "|---" * 15
    + "|\n"
)
PHASES_HEAD = (
    "| K | acting, % | environment, % | replay, % | update, % | other, % |\n" + "|---" * 6 + "|\n"
)
MEMORY_HEAD = "| K | all actors, MiB | of it replay, MiB | driver, MiB |\n" + "|---" * 4 + "|\n"


def markdown(runs: Sequence[Run]) -> str:
    """Median over repeats [lowest, highest]."""
    keys = list(dict.fromkeys((r["K"], r["E"], r["agents_per_actor"]) for r in runs))
    auto = [key for key in keys if key[1:] == (100, "auto")]
    cases = [select(runs, key) for key in keys]
    packed = [select(runs, key) for key in auto]
    return "\n".join(
        [
            HEAD + "\n".join(speed_line(case) for case in cases),
            "\nWhere an actor's learning goes (E = 100, packing auto):\n",
            PHASES_HEAD + "\n".join(phase_line(case) for case in packed),
            "\nMemory (E = 100, packing auto):\n",
            MEMORY_HEAD + "\n".join(memory_line(case) for case in packed),
            f"\nMemory per further agent, without replay: {per_agent(packed)} MiB.\n",
        ]
    )


def select(runs: Sequence[Run], key: tuple[Any, ...]) -> list[Run]:
    return [r for r in runs if (r["K"], r["E"], r["agents_per_actor"]) == key]


def speed_line(case: Sequence[Run]) -> str:
    first = case[0]
    cells = [
        f"{first['K']:,}",
        f"{first['E']:,}",
        str(first["agents_per_actor"]),
        str(first["actors"]),
        spread(case, lambda r: r["agent_steps_per_s"], "{:,.0f}"),
        spread(case, lambda r: r["round_s"], "{:.3f}"),
        spread(case, lambda r: r["agent_step_us"], "{:.0f}"),
        spread(case, lambda r: r["floor_us"], "{:.0f}"),
        spread(case, lambda r: 100 * r["efficiency"], "{:.0f}"),
        spread(case, lambda r: 100 * r["communicating"], "{:.1f}"),
        spread(case, lambda r: r["communicating_ms"], "{:.1f}"),
        spread(case, lambda r: r["ray_alone_ms"], "{:.1f}"),
        spread(case, lambda r: r["ray_empty_ms"], "{:.1f}"),
        spread(case, lambda r: 100 * r["waiting"], "{:.1f}"),
        spread(case, lambda r: r["start_up_s"], "{:.1f}"),
    ]
    return f"| {' | '.join(cells)} |"


def phase_line(case: Sequence[Run]) -> str:
    names = case[0]["phases"]
    shares = [spread(case, lambda r, n=name: 100 * r["phases"][n], "{:.0f}") for name in names]
    return f"| {case[0]['K']:,} | {' | '.join(shares)} |"


def memory_line(case: Sequence[Run]) -> str:
    names = ("actors_mib", "replay_mib", "driver_mib")
    sizes = [spread(case, lambda r, n=name: r[n], "{:,.0f}") for name in names]
    return f"| {case[0]['K']:,} | {' | '.join(sizes)} |"


def per_agent(packed: Sequence[Sequence[Run]]) -> str:
    """From K = 10 to the largest K, both in the same number of actors."""
    (small,) = (case for case in packed if case[0]["K"] == 10)
    large = packed[-1]
    slopes = [
        (own(many) - own(few)) / (many["K"] - few["K"])
        for few, many in zip(small, large, strict=True)
    ]
    return f"{np.median(slopes):.2f} [{min(slopes):.2f}, {max(slopes):.2f}]"


def own(run: Run) -> float:
    return float(run["actors_mib"] - run["replay_mib"])


def spread(case: Sequence[Run], figure: Callable[[Run], float], form: str) -> str:
    values = [figure(run) for run in case]
    low, mid, high = (form.format(v) for v in (min(values), float(np.median(values)), max(values)))
    return mid if len(values) == 1 else f"{mid} [{low}, {high}]"
