"""A table of chaos results for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

from .case import Result

COLUMNS = (
    "fault",
    "policy",
    "recovered, s",
    "rounds redone",
    "agent steps missing",
    "bits",
    "left over",
    "as promised",
)


def table(results: Iterable[Result]) -> Table:
    """Return a table with a row per fault and policy."""
    found = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))  # fits into 80 columns
    for number, name in enumerate(COLUMNS):
        found.add_column(name, no_wrap=number < 2)
    for result in results:
        found.add_row(*cells(result))
    return found


def cells(result: Result) -> list[str]:
    """Return the texts of a row."""
    return [
        result.fault,
        result.policy,
        "-" if result.recovered is None else f"{result.recovered:.1f}",
        str(result.redone),
        f"{result.missing:,}",
        "equal" if result.equal else "differ",
        str(result.left),
        "no" if result.broken else "yes",
    ]
