"""Average against worst return of every method, and the front of methods that none dominates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from ...analysis.statistics import RETURN_STATISTICS
from ..keys import OMEGA
from ..looks import legend_note, size_note
from ..methods import Method
from ..numbers import interval_text, is_known, plural, value_text
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import COLOURS, Look, axis, faded, layout, plain_text
from ..verdict.rule import Verdict, best, verdicts

MANY = 20
"""Most points whose bars keep their full colour; more bars would hide each other."""

SIDES, SHORT_SIDE = ("top left", "bottom right"), "top right"
"""Positions of names, different for neighbours, and of short texts beside points."""

FEW = 8
"""Most points that are all in the legend; of more, it lists the front and the recommended."""


def fronts(study: Study) -> list[Section | None]:
    """Return a section per setting; a single method has a table only."""
    found = {verdict.methods[0].setting: verdict for verdict in verdicts(study)}
    return [
        _section(study, methods, found.get(methods[0].setting), index)
        for index, methods in enumerate(study.settings)
    ]


def pareto_front(methods: Sequence[Method]) -> list[Method]:
    """Return the methods that no other dominates in average and worst return, by average."""
    return sorted(
        (m for m in methods if not any(_dominates(other, m) for other in methods)),
        key=_average,
    )


def _average(method: Method) -> float:
    return method.statistics["average"].estimate


def _dominates(a: Method, b: Method) -> bool:
    pairs = [(a.statistics[f].estimate, b.statistics[f].estimate) for f in ("average", "worst")]
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


def _section(
    study: Study, methods: Sequence[Method], verdict: Verdict | None, index: int
) -> Section | None:
    """Return the section of one setting."""
    judged = verdict.methods if verdict else ()
    recommended = verdict.recommended if verdict and len(judged) > 1 else None
    table = Table(columns=_COLUMNS, rows=tuple(_rows(methods, recommended)))
    name = f"front-{index + 1}" if index else "front"
    if len(methods) == 1:
        scope = methods[0].scope
        text = f"Means over the last tenth of the evaluations, with 95% intervals ({scope})."
        return section(name, "Final returns", text, table=table)
    fig = go.Figure(layout=layout(520))
    fig.update_xaxes(axis(title_text="return, average"))
    fig.update_yaxes(axis(title_text="return, worst environment"))
    front = pareto_front(judged or methods)
    _add_front(fig, front)
    notable = sorted({*front, *([recommended] if recommended else [])}, key=_average)
    sides = {m: SIDES[i % 2] for i, m in enumerate(notable)}
    short = _omega_texts(study, methods)
    for method in methods:
        few = len(methods) <= FEW or method in notable
        chosen, side, many = study.looks[method], sides.get(method, ""), len(methods) > MANY
        text = short.get(method, "")
        _add_point(fig, method, chosen, side=side, short=text, legend=few, faint=many)
    if recommended is not None:
        _add_recommended(fig, recommended)
    text = _TEXT + legend_note(study.names) + size_note(study.names)
    where = study.setting_text(methods[0])
    title = f"Average and worst return{f': {where}' if where else ''}"
    return section(name, title, text, figure=fig, table=table)


def _omega_texts(study: Study, methods: Sequence[Method]) -> dict[Method, str]:
    """Return the omega of the best method of each omega; more texts would hide each other."""
    if OMEGA not in study.names or len(methods) > MANY:
        return {}
    groups: dict[float, list[Method]] = {}
    for method in methods:
        groups.setdefault(method.omega, []).append(method)
    return {best(group, "worst"): value_text(omega) for omega, group in groups.items()}


_TEXT = (
    "Further up and to the right is better. Bars are 95% intervals over seeds and episodes "
    "together. The front joins the methods that no other matches in both returns. Open markers "
    "show incomplete methods, which are not compared. If their budget is not spent, they show the "
    "results so far; if seeds failed or were stopped, they show the other seeds."
)


def _add_front(fig: go.Figure, front: Sequence[Method]) -> None:
    if len(front) > 1:
        fig.add_scatter(
            x=[m.statistics["average"].estimate for m in front],
            y=[m.statistics["worst"].estimate for m in front],
            mode="lines", name="front", hoverinfo="skip",
            line={"color": "#888", "dash": "dot", "width": 2, "shape": "linear"},
        )  # fmt: skip


def _add_point(
    fig: go.Figure, method: Method, chosen: Look, *, side: str, short: str, legend: bool,
    faint: bool,
) -> None:  # fmt: skip
    """Add a method; `side` is the position of its name, or empty for no name.

    short: a text in place of the name, always taken on a narrow screen (`meta`).
    """
    name = plain_text(method.label)
    marker = chosen.marker if method.complete else f"{chosen.marker}-open"
    average, worst = method.statistics["average"], method.statistics["worst"]
    hover = f"{name}<br>average {interval_text(average)}<br>worst {interval_text(worst)}"
    colour = faded(chosen.colour, 0.3) if faint else chosen.colour
    fig.add_scatter(
        x=[average.estimate], y=[worst.estimate], name=name, showlegend=legend, meta=short,
        mode="markers+text" if side or short else "markers", text=[name if side else short],
        textposition=side or SHORT_SIDE, cliponaxis=False,
        error_x=_bars(average, colour), error_y=_bars(worst, colour),
        marker={"color": chosen.colour, "symbol": marker, "size": chosen.size},
        hovertemplate=f"{hover}<extra></extra>",
    )  # fmt: skip


def _add_recommended(fig: go.Figure, method: Method) -> None:
    fig.add_scatter(
        x=[method.statistics["average"].estimate], y=[method.statistics["worst"].estimate],
        mode="markers", name=f"recommended: {plain_text(method.label)}", hoverinfo="skip",
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


_COLUMNS = ("method", "status", "seeds", *RETURN_STATISTICS, "nominal")


def _rows(methods: Sequence[Method], recommended: Method | None) -> Iterator[tuple[Cell, ...]]:
    for m in methods:
        status = "complete" if m.complete else "incomplete"
        if m.failed:
            status = f"{len(m.failed)} of {plural(len(m.seeds), 'seed')} failed"
        mark = "recommended" if m is recommended else status
        yield m.label, mark, len(m.runs), *(m.statistics[name] for name in _COLUMNS[3:])
