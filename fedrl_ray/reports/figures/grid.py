"""Final return in each environment of the test grid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from algorithms.types import Array

from ...analysis import statistics
from ...analysis.statistics import Interval
from ..axis import Axis, grid_axis
from ..methods import Method
from ..panels import canvas
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import CLIPPED, band, focus, line, points


def return_over_grids(study: Study) -> list[Section | None]:
    """Return a section per kind of test grid."""
    by_axis: dict[str, list[Method]] = {}
    for method in study.shown:
        by_axis.setdefault(axis_of(method)[1], []).append(method)
    return [
        _section(study, methods, label, index)
        for index, (label, methods) in enumerate(by_axis.items())
    ]


def _section(study: Study, methods: list[Method], label: str, index: int) -> Section | None:
    drawing = canvas(study, methods, label, "return")
    found = {method: grid_intervals(method) for method in methods}
    for entry, shared in drawing:
        _, means, low, high = found[entry.method]
        positions = axis_of(entry.method)[0]
        names = [position for position in positions if isinstance(position, str)]
        if names:
            points(drawing.figure, names, means, low, high, entry.name, entry.look, **shared)
            continue
        x = np.array(positions)
        place = {"row": shared["row"], "visible": shared["visible"]}
        band(drawing.figure, x, low, high, entry.name, entry.look, **place)
        line(drawing.figure, x, means, entry.name, entry.look, **shared)
    bounds = [bound for _, _, low, high in found.values() for bound in (low, high)]
    focus(drawing.figure, [samples for samples, *_ in found.values()], bounds)
    text = (
        "Final return in each test environment: mean over seeds with Student's 95% interval. With "
        f"one seed the interval covers episodes only. {CLIPPED}"
    )
    columns = ("method", label, "return")
    return section(
        f"grid-{index + 1}" if index else "grid",
        "Return over the test grid",
        text + drawing.note,
        figure=drawing.figure,
        table=Table(columns=columns, rows=tuple(_rows(methods))),
    )


def axis_of(method: Method) -> Axis:
    """Return the positions of the method's test environments, [M], and the name of the axis."""
    return grid_axis(method.runs[0].evaluations.dynamics)


def grid_intervals(method: Method) -> tuple[Array, Array, Array, Array]:
    """Return the returns of seeds, [S, M], and their mean, low and high, [M].

    With one seed the rows are its episodes.
    """
    assert method.returns is not None
    seeds = len(method.returns)
    samples = method.returns.mean(2) if seeds > 1 else method.returns[0].T
    low, high = statistics.mean_interval(samples)
    return samples, samples.mean(0), low, high


def _rows(methods: list[Method]) -> Iterator[tuple[Cell, ...]]:
    for method in methods:
        for x, *values in zip(axis_of(method)[0], *grid_intervals(method)[1:], strict=True):
            yield method.label, x, Interval(*map(float, values))
