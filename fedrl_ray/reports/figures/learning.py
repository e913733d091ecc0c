"""Learning curves: average and worst return over local steps, with bands over seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from algorithms.types import Array

from ...analysis import statistics
from ...analysis.statistics import Interval
from ..methods import Method
from ..panels import canvas
from ..section import Cell, Section, Table, section
from ..series import common
from ..studies import Study
from ..style import CUT, band, focus, line

X_TITLE = "local steps per agent"

_WHAT = {"average": "mean over the test grid", "worst": "worst environment of the test grid"}


class Curve(NamedTuple):
    """steps: [T]. values: of each seed, [S, T]. mean over seeds, low and high: [T]."""

    steps: Array
    values: Array
    mean: Array
    low: Array
    high: Array


def learning_curves(study: Study) -> list[Section | None]:
    """Return of the global policy while it learns: a section for the average, one for the worst."""
    return [_section(study, name) for name in _WHAT]


def _section(study: Study, name: str) -> Section | None:
    methods = [m for m in study.methods if any(len(r.evaluations.steps) for r in m.runs)]
    drawing = canvas(study, methods, X_TITLE, f"return, {name}")
    curves = {method: curve(method, name) for method in methods}
    for entry, shared in drawing:
        found = curves[entry.method]
        place = {"row": shared["row"], "visible": shared["visible"]}
        band(drawing.figure, found.steps, found.low, found.high, entry.name, entry.look, **place)
        line(drawing.figure, found.steps, found.mean, entry.name, entry.look, **shared)
    focus(
        drawing.figure,
        [found.values for found in curves.values()],
        [bound for found in curves.values() for bound in (found.low, found.high)],
    )
    text = (
        f"Return of the global policy, {_WHAT[name]}: mean over seeds, and its 95% interval "
        f"(Student's) as a band where there is more than one seed. {CUT}"
    )
    rows = tuple(row for m in methods for row in _rows(m, curves[m]))
    table = Table(columns=("method", "steps", "seeds", name), rows=rows)
    title = f"Learning curve: {name}"
    return section(
        f"learning-{name}", title, text + drawing.note, figure=drawing.figure, table=table
    )


def curve(method: Method, name: str) -> Curve:
    """A figure of a method at the evaluations that all of its seeds have."""
    runs = [run for run in method.runs if len(run.evaluations.steps)]
    steps, values_ST = common(
        [run.evaluations.steps for run in runs], [run.evaluations.figures[name] for run in runs]
    )
    if not values_ST.size:
        return Curve(steps, values_ST, *3 * (np.empty(0),))
    return Curve(steps, values_ST, values_ST.mean(0), *statistics.mean_interval(values_ST))


def _rows(method: Method, found: Curve) -> Iterator[tuple[Cell, ...]]:
    for step, *values in zip(found.steps, found.mean, found.low, found.high, strict=True):
        yield method.label, int(step), len(method.runs), Interval(*map(float, values))
