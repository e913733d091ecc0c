"""The page as Dash components. Text of users is inserted as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dash import dcc, html

from ..reports.verdict.cards import Card, CardGroup
from ..reports.verdict.words import RULE, RULE_TITLE
from .attributes import attributes
from .live import Snapshot
from .parts import Part
from .trials import TrialRow, counts
from .trials_table import trial_properties, trials_section

POLL = 3000
"""Milliseconds between two requests of a browser."""

GRAPH: Any = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}
"""Settings of the plots, without the button that uploads data."""


def page() -> html.Div:
    """Return the empty frame; the callback fills it."""
    return html.Div(
        [
            html.H1(id="title"),
            html.Div(id="state"),
            html.Div(id="headline"),
            html.Div(id="cards"),
            html.Details([html.Summary(RULE_TITLE), html.P(RULE)], id="rule"),
            html.Nav(html.Ul(id="contents"), **attributes(aria_label="Contents")),
            html.Section(trials_section(), id="trials"),
            html.Main(place(0), id="sections"),
            dcc.Store(id="known", data={}),
            dcc.Store(id="clock"),
            dcc.Interval(id="tick", interval=POLL),
        ]
    )


def kind(name: str, section: Any) -> dict[str, Any]:
    """Return the id of one component of a section."""
    return {"type": name, "section": section}


def state(snapshot: Snapshot) -> list[Any]:
    """Return the number of trials per status, the age of the last change, and problems."""
    since = html.Span("", **attributes(data_at=snapshot.changed))
    last: list[Any] = ["; last change ", since] if snapshot.changed is not None else []
    lines: list[Any] = (
        [html.P([counts(snapshot.rows), *last, "."])] if snapshot.version else [_note("…")]
    )
    lines += [_note(f"{path}: {_nothing_at(path)}") for path in snapshot.waiting]
    if snapshot.problem:
        lines.append(_note(f"The page is not up to date: {snapshot.problem}"))
    return lines


def headlines(lines: Iterable[str]) -> list[Any]:
    """Return the headline, a paragraph per line."""
    return [html.P(line, className="headline") for line in lines]


def contents(parts: Iterable[Part]) -> list[Any]:
    """Return links to the sections."""
    return [html.Li(html.A(part.title, href=f"#{part.id}")) for part in parts]


def trial_rows(rows: Sequence[TrialRow]) -> list[Any]:
    """Return a table row per trial."""
    return [html.Tr(id=kind("row", i), **trial_properties(row, i)) for i, row in enumerate(rows)]


def cards(groups: Iterable[CardGroup]) -> list[Any]:
    """Return the cards of each verdict; empty without a choice."""
    return [part for group in groups for part in _cards(group)]


def place(number: int) -> html.Div:
    """Return an empty container for sections that are added later."""
    return html.Div(id=kind("place", number), className="place")


def section(part: Part, number: int) -> html.Section:
    """Return a section of the report; `number` is its position on the page."""
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
    """Return the text of a section, a paragraph per line."""
    return [html.P(line) for line in part.text.split("\n")]


def _cards(group: CardGroup) -> list[Any]:
    title = [html.P(group.title, className="cards-title")] if group.title else []
    return [*title, html.Dl([_card(card) for card in group.cards], className="cards")]


def _card(card: Card) -> html.Div:
    value: list[Any] = [html.Strong(card.value), " ", html.Span(card.more)]
    return html.Div([html.Dt(card.name), html.Dd(value, className="value"), html.Dd(card.note)])


def _figure(part: Part) -> list[Any]:
    """Return a store for the figure's data, and a graph that the browser fits to its width."""
    if part.figure is None:
        return []
    graph = dcc.Graph(id=kind("graph", part.id), config=GRAPH, responsive=True, className="plot")
    return [dcc.Store(id=kind("figure", part.id), data=part.figure), html.Figure(graph)]


def _table(part: Part) -> list[Any]:
    """Return the table: folded if the section has a figure, open if it has none."""
    link = html.A("Download as CSV", href=f"csv/{part.id}.csv", download=f"{part.id}.csv")
    body = [html.Div(id=kind("table", part.id), **attributes(data_html=part.table_html)), link]
    if part.figure is None:
        return [html.Div(body, hidden=part.table is None)]
    return [html.Details([html.Summary(f"Table: {part.title}"), *body])]


def _note(text: str) -> html.P:
    return html.P(text, className="note", role="status")


def _nothing_at(path: Path) -> str:
    missing = "no run or sweep yet" if path.exists() else "does not exist yet"
    return f"{missing}; the page waits for it"
