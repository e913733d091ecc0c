"""Learning curves: average and worst return over local steps, with bands over seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from algorithms.types import Array

from ... import statistics
from ...statistics import Interval
from ..methods import Method
from ..panels import canvas
from ..section import Cell, Section, Table, section
from ..series import common
from ..studies import Study
from ..style import band, line

X_TITLE = "local steps per agent"

_WHAT = {"average": "mean over the test grid", "worst": "worst environment of the test grid"}


def learning_curves(study: Study) -> list[Section | None]:
    """Return of the global policy while it learns: a section for the average, one for the worst."""
    return [_section(study, name) for name in _WHAT]


def _section(study: Study, name: str) -> Section | None:
    methods = [m for m in study.methods if any(len(r.evaluations.steps) for r in m.runs)]
    drawing = canvas(study, methods, X_TITLE, f"return, {name}")
    for entry, shared in drawing:
        steps, means, low, high = curve(entry.method, name)
        place = {"row": shared["row"], "visible": shared["visible"]}
        band(drawing.figure, steps, low, high, entry.name, entry.look, **place)
        line(drawing.figure, steps, means, entry.name, entry.look, **shared)
    text = (
        f"Return of the global policy, {_WHAT[name]}: mean over seeds, and its 95% interval "
        "(Student's) as a band where there is more than one seed."
    )
    table = Table(columns=("method", "steps", "seeds", name), rows=tuple(_rows(methods, name)))
    title = f"Learning curve: {name}"
    return section(
        f"learning-{name}", title, text + drawing.note, figure=drawing.figure, table=table
    )


def curve(method: Method, name: str) -> tuple[Array, Array, Array, Array]:
    """Steps, mean over seeds, low and high: [T] each, at the evaluations that all seeds have."""
    runs = [run for run in method.runs if len(run.evaluations.steps)]
    steps, values_ST = common(
        [run.evaluations.steps for run in runs], [run.evaluations.figures[name] for run in runs]
    )
    if not values_ST.size:
        return steps, np.empty(0), np.empty(0), np.empty(0)
    low, high = statistics.mean_interval(values_ST)
    return steps, values_ST.mean(0), low, high


def _rows(methods: list[Method], name: str) -> Iterator[tuple[Cell, ...]]:
    for method in methods:
        for step, *values in zip(*curve(method, name), strict=True):
            interval = Interval(*map(float, values))
            yield method.label, int(step), len(method.runs), interval
