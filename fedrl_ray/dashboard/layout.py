"""The page as Dash components. Text goes in as text: nothing of a user's is ever markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dash import dcc, html

from ..reports.numbers import number
from .live import Snapshot
from .parts import Part
from .trials import TrialRow, counts

POLL = 3000
"""Milliseconds between two questions of a browser."""

GRAPH: Any = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}
"""No button that would send the data anywhere."""

_COLUMNS = ("trial", "status", "local steps", "worst", "average", "last row")


def page() -> html.Div:
    """The frame; the callback fills it."""
    return html.Div(
        [
            html.H1(id="title"),
            html.Div(id="state"),
            html.Div(id="headline"),
            html.Nav(html.Ul(id="contents"), **_attributes(aria_label="Contents")),
            html.Section(_trials(), id="trials"),
            html.Main(place(0), id="sections"),
            dcc.Store(id="known", data={}),
            dcc.Store(id="clock"),
            dcc.Interval(id="tick", interval=POLL),
        ]
    )


def kind(name: str, section: Any) -> dict[str, Any]:
    """The id of one piece of a section."""
    return {"type": name, "section": section}


def state(snapshot: Snapshot) -> list[Any]:
    """How many trials are where, when a file last changed, and what is amiss."""
    since = html.Span("", **_attributes(data_at=snapshot.changed))
    last: list[Any] = ["; last change ", since] if snapshot.changed is not None else []
    lines: list[Any] = (
        [html.P([counts(snapshot.rows), *last, "."])] if snapshot.version else [_note("…")]
    )
    lines += [_note(f"{path}: {_nothing_at(path)}") for path in snapshot.waiting]
    if snapshot.problem:
        lines.append(_note(f"Not up to date: {snapshot.problem}"))
    return lines


def headlines(lines: Iterable[str]) -> list[Any]:
    """The answer so far."""
    return [html.P(line, className="headline") for line in lines]


def contents(parts: Iterable[Part]) -> list[Any]:
    """Links to the sections."""
    return [html.Li(html.A(part.title, href=f"#{part.id}")) for part in parts]


def trial_rows(rows: Sequence[TrialRow]) -> list[Any]:
    """A row per trial."""
    return [html.Tr(id=kind("row", i), **trial(row)) for i, row in enumerate(rows)]


def trial(row: TrialRow) -> dict[str, Any]:
    """What a row of the trials holds."""
    return {"children": _cells(row), "className": row.status.replace(" ", "-")}


def place(number: int) -> html.Div:
    """Where sections go that come later."""
    return html.Div(id=kind("place", number), className="place")


def section(part: Part, number: int) -> html.Section:
    """A section of the report, and where it stands on the page."""
    return html.Section(
        [
            html.H2(part.title, id=kind("title", part.id)),
            html.Div(paragraphs(part), id=kind("text", part.id), className="text"),
            *_figure(part),
            *_table(part),
            html.Pre(part.source, id=kind("source", part.id), hidden=not part.source),
        ],
        id=part.id,
        style={"order": number},
    )


def paragraphs(part: Part) -> list[Any]:
    """What is shown, and how it came about."""
    return [html.P(line) for line in part.text.split("\n")]


def _trials() -> list[Any]:
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in _COLUMNS]))
    table = html.Table([head, html.Tbody(id="trial-rows")])
    note = "Returns are those of the last evaluation. What runs comes first."
    return [
        html.H2("Trials"),
        html.P(note),
        html.Div(
            table,
            className="scroll",
            tabIndex="0",
            role="region",
            **_attributes(aria_label="Trials"),
        ),
    ]


def _cells(row: TrialRow) -> list[Any]:
    status = f"{row.status}: {row.reason}" if row.reason else row.status
    return [
        html.Th(row.name, scope="row"),
        html.Td(status),
        html.Td(_progress(row), className="progress"),
        html.Td(_return(row.worst), className="number worst"),
        html.Td(_return(row.average), className="number average"),
        html.Td("", className="number", **_attributes(data_at=row.last_row)),
    ]


def _return(value: float | None) -> str:
    return "" if value is None else number(value)


def _progress(row: TrialRow) -> list[Any]:
    if row.steps is None or row.budget is None:
        return []
    text = f"{row.steps:,} of {row.budget:,}"
    bar = html.Progress(
        value=str(row.steps), max=str(max(1, row.budget)), **_attributes(aria_label="steps done")
    )
    return [bar, html.Span(text)]


def _figure(part: Part) -> list[Any]:
    """The store is what changes; the browser fits the figure to its width."""
    if part.figure is None:
        return []
    graph = dcc.Graph(id=kind("graph", part.id), config=GRAPH, responsive=True, className="plot")
    return [dcc.Store(id=kind("figure", part.id), data=part.figure), html.Figure(graph)]


def _table(part: Part) -> list[Any]:
    """Behind a figure it waits to be opened; without one it is what the section shows."""
    link = html.A("Download as CSV", href=f"csv/{part.id}.csv", download=f"{part.id}.csv")
    body = [html.Div(id=kind("table", part.id), **_attributes(data_html=part.table_html)), link]
    if part.figure is None:
        return [html.Div(body, hidden=part.table is None)]
    return [html.Details([html.Summary(f"Table: {part.title}"), *body])]


def _note(text: str) -> html.P:
    return html.P(text, className="note", role="status")


def _nothing_at(path: Path) -> str:
    where = "no run and no sweep there yet" if path.exists() else "not there yet"
    return f"{where}; this page waits for it"


def _attributes(**given: Any) -> dict[str, Any]:
    """data_at as data-at: what Python cannot write as a name."""
    return {name.replace("_", "-"): value for name, value in given.items()}
