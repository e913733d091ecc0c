"""Outlying agents: those whose update or loss was far above that of the other participants."""

from __future__ import annotations

import math

from ..federation.outliers import MEASURES, ROUNDS
from .data import ReportData
from .numbers import number, plural
from .run_events import OutlierRecord
from .runs import RunData
from .section import Section, Table

MOST = 6
"""Agents told in sentences; the table lists all."""


def outliers(data: ReportData) -> Section | None:
    """Return a section that names the outlying agents of all runs; None if there are none."""
    found = [(run, one) for run in data.runs for one in run.training.outliers]
    if not found:
        return None
    told = [f"{run.label}: {in_words(one)}" for run, one in found[:MOST]]
    more = [f"The table lists {len(found) - MOST} more."] if len(found) > MOST else []
    columns = ("run", "agent", "metric", "rounds", "first round", "last round",
               "largest multiple of the median")  # fmt: skip
    table = Table(columns=columns, rows=tuple(_row(run, one) for run, one in found))
    return Section(
        id="outliers", title="Outlying agents", text="\n".join([_TEXT, *told, *more]), table=table
    )


def in_words(one: OutlierRecord) -> str:
    """Return a sentence such as `agent 3: its td_loss was up to 812 times the median of ...`."""
    times = "not finite"
    if math.isfinite(one.times):
        times = f"up to {number(one.times)} times the median of the others"
    return f"agent {one.agent}: its {one.measure} was {times}, in {plural(one.rounds, 'round')}."


_TEXT = (
    "An agent is an outlier if one of these metrics is not finite, or is far above that of the "
    f"other participants in {ROUNDS} rounds in a row: "
    + ", ".join(f"{name} {multiple:g} times" for name, multiple in MEASURES.items())
    + " the median of their recent largest values. Its rewards, its observations or its program "
    "may be wrong, or its environment is unlike all others. A rule such as the mean averages it in "
    "all the same."
)


def _row(run: RunData, one: OutlierRecord) -> tuple[str | int | float, ...]:
    return (run.label, one.agent, one.measure, one.rounds, one.first, one.last, one.times)
