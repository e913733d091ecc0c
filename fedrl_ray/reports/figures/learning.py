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
from ..style import CLIPPED, band, focus, line

X_TITLE = "local steps per agent"

_MEANINGS = {"average": "mean over the test grid", "worst": "worst environment of the test grid"}


class Curve(NamedTuple):
    """A return statistic over local steps, with its interval over seeds."""

    steps: Array
    """[T]."""
    values: Array
    """Value of each seed, [S, T]."""
    mean: Array
    """Mean over seeds, [T]."""
    low: Array
    """Lower end of the interval, [T]."""
    high: Array
    """Upper end of the interval, [T]."""


def learning_curves(study: Study) -> list[Section | None]:
    """Return two sections: average and worst return of the global policy during training."""
    return [_section(study, name) for name in _MEANINGS]


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
        f"Return of the global policy ({_MEANINGS[name]}): mean over seeds. With several seeds, a "
        f"band shows Student's 95% interval. {CLIPPED}"
    )
    rows = tuple(row for m in methods for row in _rows(m, curves[m]))
    table = Table(columns=("method", "steps", "seeds", name), rows=rows)
    title = f"Learning curve: {name}"
    return section(
        f"learning-{name}", title, text + drawing.note, figure=drawing.figure, table=table
    )


def curve(method: Method, name: str) -> Curve:
    """Return a statistic of a method at the evaluations that all of its seeds have."""
    runs = [run for run in method.runs if len(run.evaluations.steps)]
    steps, values_ST = common(
        [run.evaluations.steps for run in runs], [run.evaluations.statistics[name] for run in runs]
    )
    if not values_ST.size:
        return Curve(steps, values_ST, *3 * (np.empty(0),))
    return Curve(steps, values_ST, values_ST.mean(0), *statistics.mean_interval(values_ST))


def _rows(method: Method, found: Curve) -> Iterator[tuple[Cell, ...]]:
    for step, *values in zip(found.steps, found.mean, found.low, found.high, strict=True):
        yield method.label, int(step), len(method.runs), Interval(*map(float, values))
