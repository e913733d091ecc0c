"""Average against worst return of every method, and the front of those that none beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from ...statistics import FIGURES
from ..methods import Method
from ..numbers import interval_text, is_known
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import COLOURS, axis, layout, look, plain
from ..verdict import RULE, Verdict, verdicts

MOST_LABELS = 8
"""Points with their names beside them; more would hide each other, so the front's alone have."""


def fronts(study: Study) -> list[Section | None]:
    """A section per setting."""
    return [_section(study, verdict, index) for index, verdict in enumerate(verdicts(study))]


def pareto_front(methods: Sequence[Method]) -> list[Method]:
    """Methods whose estimates no other reaches in the average and in the worst, by average."""
    return sorted(
        (m for m in methods if not any(_dominates(other, m) for other in methods)),
        key=lambda m: m.figures["average"].estimate,
    )


def _dominates(a: Method, b: Method) -> bool:
    pairs = [(a.figures[f].estimate, b.figures[f].estimate) for f in ("average", "worst")]
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


def _section(study: Study, verdict: Verdict, index: int) -> Section | None:
    front = pareto_front(verdict.methods)
    fig = go.Figure(layout=layout(520))
    fig.update_xaxes(axis(title_text="return, average"))
    fig.update_yaxes(axis(title_text="return, worst environment"))
    _add_front(fig, front)
    few = len(verdict.methods) <= MOST_LABELS
    for method in verdict.methods:
        named = few or method in front or method is verdict.recommended
        _add_point(fig, method, study.methods.index(method), named=named)
    _add_recommended(fig, verdict.recommended)
    return section(
        f"front-{index + 1}" if index else "front",
        "Average and worst return",
        f"Further up and to the right is better; bars are 95% intervals over seeds and episodes "
        f"together. The front joins the methods that no other reaches in both.\n{RULE}",
        figure=fig,
        table=Table(columns=_COLUMNS, rows=tuple(_rows(verdict))),
    )


def _add_front(fig: go.Figure, front: Sequence[Method]) -> None:
    if len(front) > 1:
        fig.add_scatter(
            x=[m.figures["average"].estimate for m in front],
            y=[m.figures["worst"].estimate for m in front],
            mode="lines", name="front", hoverinfo="skip",
            line={"color": "#888", "dash": "dot", "width": 2, "shape": "linear"},
        )  # fmt: skip


def _add_point(fig: go.Figure, method: Method, place: int, *, named: bool) -> None:
    chosen, name = look(place), plain(method.label)
    average, worst = method.figures["average"], method.figures["worst"]
    hover = f"{name}<br>average {interval_text(average)}<br>worst {interval_text(worst)}"
    fig.add_scatter(
        x=[average.estimate], y=[worst.estimate], name=name, showlegend=named, text=[name],
        mode="markers+text" if named else "markers", cliponaxis=False,
        textposition=("top left", "bottom right")[place % 2],
        error_x=_bars(average, chosen.colour), error_y=_bars(worst, chosen.colour),
        marker={"color": chosen.colour, "symbol": chosen.marker, "size": 10},
        hovertemplate=f"{hover}<extra></extra>",
    )  # fmt: skip


def _add_recommended(fig: go.Figure, method: Method) -> None:
    fig.add_scatter(
        x=[method.figures["average"].estimate], y=[method.figures["worst"].estimate],
        mode="markers", name=f"recommended: {plain(method.label)}", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 22, "color": COLOURS[4], "line": {"width": 3}},
    )  # fmt: skip


def _bars(interval: Any, colour: str) -> dict[str, Any] | None:
    if not is_known(interval):
        return None
    return {
        "array": [interval.high - interval.estimate],
        "arrayminus": [interval.estimate - interval.low],
        "thickness": 1.2, "width": 4, "color": colour,
    }  # fmt: skip


_COLUMNS = ("method", "recommended", "seeds", *FIGURES, "nominal")


def _rows(verdict: Verdict) -> Iterator[tuple[Cell, ...]]:
    for m in verdict.methods:
        mark = "yes" if m is verdict.recommended else ""
        yield m.label, mark, len(m.runs), *(m.figures[name] for name in _COLUMNS[3:])
