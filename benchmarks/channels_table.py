"""The tables of `channels.py`: milliseconds per exchange, and what faults do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]
TRANSPORTS = ("channel", "Ray's messages", "compiled graph")
WARM_UP = 3
"""Exchanges of a repeat that are not timed; the first of them starts the workers."""
FAULTS = {
    "slow": "last of 3 workers 2 s slow",
    "some": "exchange with 2 of 3 workers",
    "killed": "worker killed",
    "killed_after_some": "worker killed, after an exchange with 2 of 3 was prepared",
}


def tables(rows: Sequence[Row]) -> str:
    """Return both tables and their captions, in Markdown."""
    return f"{speed_table(rows)}\n{fault_table(rows)}"


def speed_table(rows: Sequence[Row]) -> str:
    """Return a table of median milliseconds per exchange, with the range of the repeats."""
    timed = [row for row in rows if "workers" in row]
    cases = sorted({(row["workers"], row["size"]) for row in timed})
    repeats = 1 + max(row["repeat"] for row in timed)
    lines = [header("workers", "parameters", *(f"{name}, ms" for name in TRANSPORTS))]
    for case in cases:
        own = [row for row in timed if (row["workers"], row["size"]) == case]
        cells = (speed([r for r in own if r.get("transport") == name]) for name in TRANSPORTS)
        lines.append(line(case[0], f"{case[1]:,}", *cells))
    return "".join(lines) + (
        f"\nMedian of {repeats} repeats together [lowest and highest median of a repeat]. The "
        "driver sends the float32 parameters to each worker. Each worker returns two float64 "
        "arrays of the same size.\n"
    )


def speed(rows: Sequence[Row]) -> str:
    """Return the cell of one transport in one case: its median and range, or its first error."""
    errors = [row["error"].splitlines()[0][:80] for row in rows if "error" in row]
    seconds: dict[int, list[float]] = {}
    for row in rows:
        if "seconds" in row and row["turn"] >= WARM_UP:
            seconds.setdefault(row["repeat"], []).append(1000 * row["seconds"])
    if not seconds:
        return errors[0] if errors else "not measured"
    medians = [float(np.median(values)) for values in seconds.values()]
    median = float(np.median(np.concatenate(list(seconds.values()))))
    note = f"; in {len(errors)} repeats {errors[0]}" if errors else ""
    return f"{median:.1f} [{min(medians):.1f}, {max(medians):.1f}]{note}"


def fault_table(rows: Sequence[Row]) -> str:
    """Return a table of each transport's reaction to each fault."""
    lines = [header("", *TRANSPORTS)]
    for fault, title in FAULTS.items():
        cells = []
        for name in TRANSPORTS:
            own = [r for r in rows if (r.get("fault"), r.get("transport")) == (fault, name)]
            cells.append("; ".join(described(row) for row in own))
        lines.append(line(title, *cells))
    return "".join(lines)


def described(row: Row) -> str:
    """Return one observation in words."""
    if "error" in row:
        return str(row["error"])
    if "first_reply_s" in row:
        return f"first reply after {row['first_reply_s']:.3f} s, last {row['last_reply_s']:.3f} s"
    words = f"{row['replies']} replies after {row['seconds']:.3f} s"
    words += f" ({', '.join(row['errors'])})" if row["errors"] else ""
    return words + (f", repaired in {row['repair_s']:.1f} s" if "repair_s" in row else "")


def header(*names: str) -> str:
    """Return the first two lines of a table."""
    return line(*names) + "|" + "---|" * len(names) + "\n"


def line(*cells: object) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(map(str, cells))} |\n"
