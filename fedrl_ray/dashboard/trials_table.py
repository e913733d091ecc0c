"""The table of trials as Dash components, with the values that the browser sorts by."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from ..reports.numbers import number
from .attributes import attributes
from .trials import TrialRow

COLUMNS = ("trial", "status", "local steps", "worst", "average", "curve", "last row")
SORTED = tuple(name for name in COLUMNS if name != "curve")
"""Columns that the table can be sorted by."""
LISTED = "as listed"
"""The order of the server: running trials first."""


def trials_section() -> list[Any]:
    """Return the table without rows, below the controls that sort and filter it."""
    head = html.Thead(html.Tr([_head(name) for name in COLUMNS]))
    note = (
        "Returns are from the last evaluation. Running trials come first. A curve is the worst "
        "return over the whole budget; curves of one environment share a scale."
    )
    return [
        html.H2("Trials"),
        html.P(note),
        _controls(),
        html.Div(
            html.Table([head, html.Tbody(id="trial-rows")]),
            className="scroll",
            tabIndex="0",
            role="region",
            **attributes(aria_label="Trials"),
        ),
    ]


def trial_properties(row: TrialRow, place: int) -> dict[str, Any]:
    """Return the properties of a trial's table row; `place` is its position as listed."""
    return {
        "children": _cells(row),
        "className": row.status.replace(" ", "-"),
        **attributes(data_place=place, data_status=row.status),
    }


def _controls() -> html.Div:
    return html.Div(
        [
            html.Label(
                ["Filter ", dcc.Input(id="trial-filter", type="search", placeholder="name, status")]
            ),
            html.Label(["Sort by ", html.Select(_options(), id="trial-order")]),
            html.Button("Reverse", id="trial-reverse", **attributes(aria_pressed="false")),
            html.Span(id="trial-count", role="status"),
        ],
        id="trial-controls",
    )


def _options() -> list[html.Option]:
    return [html.Option(name, value=name) for name in (LISTED, *SORTED)]


def _head(name: str) -> html.Th:
    if name not in SORTED:
        return html.Th(name, scope="col")
    button = html.Button(name, className="sort", **attributes(data_column=name))
    return html.Th(button, scope="col")


def _cells(row: TrialRow) -> list[Any]:
    status = f"{row.status}: {row.reason}" if row.reason else row.status
    share = None if row.steps is None or not row.budget else row.steps / row.budget
    return [
        html.Th(row.name, scope="row", **_key("trial", row.name)),
        html.Td([status, *_outliers(row)], **_key("status", row.status)),
        html.Td(_progress(row), className="progress", **_key("local steps", share)),
        html.Td(_return(row.worst), className="number worst", **_key("worst", row.worst)),
        html.Td(_return(row.average), className="number average", **_key("average", row.average)),
        html.Td(_curve(row), className="curve"),
        html.Td("", className="number", **attributes(data_at=row.last_row),
                **_key("last row", row.last_row)),
    ]  # fmt: skip


def _key(column: str, value: str | float | None) -> dict[str, Any]:
    """Return the attributes that hold a cell's value for sorting; empty if it has none."""
    return attributes(data_column=column, data_key="" if value is None else value)


def _outliers(row: TrialRow) -> list[Any]:
    if not row.outliers:
        return []
    agents = ", ".join(map(str, row.outliers))
    noun = "agent" if len(row.outliers) == 1 else "agents"
    return [html.Div(f"outlying {noun}: {agents}", className="outliers")]


def _return(value: float | None) -> str:
    return "" if value is None else number(value)


def _curve(row: TrialRow) -> list[Any]:
    """Return an empty place with the points of the curve, which the browser draws."""
    if not row.curve:
        return []
    first, last = (number(y) for _, y in (row.curve[0], row.curve[-1]))
    points = " ".join(f"{x:.4g},{y:.6g}" for x, y in row.curve)
    return [
        html.Span(
            role="img",
            **attributes(
                aria_label=f"worst return, from {first} to {last}",
                data_curve=points,
                data_scale=row.environment,
            ),
        )
    ]


def _progress(row: TrialRow) -> list[Any]:
    if row.steps is None or row.budget is None:
        return []
    text = f"{row.steps:,} of {row.budget:,}"
    bar = html.Progress(
        value=str(row.steps), max=str(max(1, row.budget)), **attributes(aria_label="steps done")
    )
    return [bar, html.Span(text)]
