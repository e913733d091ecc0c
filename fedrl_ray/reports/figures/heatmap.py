"""Average and worst return over two searched keys, with a number in every cell."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from ..keys import OMEGA, level
from ..methods import Method
from ..numbers import number, value_text
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import axis, figure
from ..verdict.rule import verdicts

DRAWN = ("average", "worst")
"""Statistics of the return, a heatmap for each."""


def heatmaps(study: Study) -> list[Section | None]:
    """Return one section if two keys vary together; omega is on the x axis."""
    keys = crossed_keys(study)
    return [] if keys is None else [_section(study, *keys)]


def crossed_keys(study: Study) -> tuple[str, str] | None:
    """Return the two keys with most values, x first.

    It is None if at most half of their grid has methods, as with random draws.
    """
    keys = study.numeric_keys()[:2]
    if len(keys) < 2:
        return None
    x, y = keys if keys[1] != OMEGA else (keys[1], keys[0])
    columns, rows = _levels(study, x), _levels(study, y)
    filled = len(_cells(study, x, y))
    enough = min(len(columns), len(rows)) > 1 and filled > len(columns) * len(rows) / 2
    return (x, y) if enough else None


def _levels(study: Study, key: str) -> list[float]:
    return sorted(
        {found for m in study.of_one_value if (found := level(m.flat.get(key))) is not None}
    )


def _cells(study: Study, x: str, y: str) -> dict[tuple[float, float], Method]:
    """Return the method at each pair of values, with other keys as in the recommended method."""
    chosen = _anchor(study)
    others = [key for key in study.names if key not in (x, y)]
    cells: dict[tuple[float, float], Method] = {}
    for method in study.of_one_value:
        if all(method.flat.get(key) == chosen.flat.get(key) for key in others):
            cells[level(method.flat[x]) or 0.0, level(method.flat[y]) or 0.0] = method
    return cells


def _anchor(study: Study) -> Method:
    return next(iter(_recommended(study)), study.of_one_value[0])


def _recommended(study: Study) -> list[Method]:
    return [verdict.recommended for verdict in verdicts(study)]


def _section(study: Study, x: str, y: str) -> Section | None:
    cells, columns, rows = _cells(study, x, y), _levels(study, x), _levels(study, y)
    fig = figure(study.names[x], study.names[y], [f"return, {name}" for name in DRAWN])
    for row, which in enumerate(DRAWN, start=1):
        grid = [[cells.get((column, r)) for column in columns] for r in rows]
        fig.add_trace(_heatmap(grid, columns, rows, which, _recommended(study)), row=row, col=1)
    fig.update_layout(height=140 + 2 * (90 + 48 * len(rows)))
    fig.update_xaxes(axis(type="category", ticks=""))
    fig.update_yaxes(axis(type="category", ticks=""))
    names = {key: study.names[key] for key in study.names if key not in (x, y)}
    fixed = (
        f" Other keys equal those of the recommended method: {study.text(_anchor(study), names)}."
    )
    text = (
        f"Final return at each {study.names[x]} and {study.names[y]}. A star marks the recommended "
        f"method.{fixed if names else ''} An empty cell has no method with results."
    )
    return section(
        "heatmap",
        f"{study.names[x]} and {study.names[y]}",
        text,
        figure=fig,
        table=Table(
            columns=(study.names[x], study.names[y], "method", *DRAWN),
            rows=tuple(_rows(cells)),
        ),
    )


def _heatmap(
    grid: list[list[Method | None]], columns: list[float], rows: list[float], which: str,
    recommended: list[Method],
) -> go.Heatmap:  # fmt: skip
    def text(method: Method | None) -> str:
        """Return the number in a cell."""
        if method is None:
            return ""
        return f"{number(method.statistics[which].estimate)}{' ★' if method in recommended else ''}"

    return go.Heatmap(
        z=[[m.statistics[which].estimate if m else None for m in line] for line in grid],
        x=[value_text(c) for c in columns],
        y=[value_text(r) for r in rows],
        text=[[text(m) for m in line] for line in grid],
        texttemplate="%{text}",
        textfont={"size": 14, "color": "#000"},
        colorscale=[[0, "#ffffff"], [1, "#b4b4b4"]],  # grey, because colour shows omega
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertemplate="%{x}, %{y}: %{text}<extra></extra>",
    )


def _rows(cells: dict[tuple[float, float], Method]) -> Iterator[tuple[Cell, ...]]:
    for (x, y), method in sorted(cells.items(), key=lambda item: item[0]):
        yield x, y, method.label, *(method.statistics[name] for name in DRAWN)
