"""Final return against a searched key, such as omega."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..keys import level
from ..looks import shared_colour
from ..methods import Method
from ..numbers import is_known, value_text
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import COLOURS, DASHES, Look, figure, plain_text

DRAWN = ("average", "worst")
"""Statistics of the return, a panel for each."""
ROOM = 0.08
"""Share of the axis that a label takes."""
CLOUD = "all methods"
"""Name of the points if no line joins them."""


def return_against_keys(study: Study) -> list[Section | None]:
    """Return a section for each of the two keys with most values, at least three each."""
    keys = [key for key in study.numeric_keys() if len(_levels(study, key)) > 2]
    return [_section(study, key) for key in keys[:2]]


def _levels(study: Study, key: str) -> set[float | None]:
    return {level(method.flat.get(key)) for method in study.of_one_value}


def _section(study: Study, key: str) -> Section | None:
    name = study.names[key]
    fig = figure(name, "return", DRAWN)
    for row, which in enumerate(DRAWN, start=1):
        for dash, (title, methods) in zip(cycle(DASHES), _lines(study, key).items(), strict=False):
            looks = [study.looks[m]._replace(dash=dash) for m in methods]
            _add(fig, methods, key, which, title, looks, row)
    fig.update_xaxes(_axis(sorted(x for x in _levels(study, key) if x is not None)))
    text = (
        f"Final return at each {name}, with a line for each value of the other keys. Bars are 95% "
        "intervals over seeds and episodes together."
    )
    return section(
        f"against-{study.names[key].replace('.', '-')}",
        f"Return against {name}",
        text,
        figure=fig,
        table=Table(columns=("method", name, *DRAWN), rows=tuple(_rows(study, key))),
    )


def _lines(study: Study, key: str) -> dict[str, list[Method]]:
    """Group methods by their other keys; one group if no two share them (random draws)."""
    others = {k: n for k, n in study.names.items() if k != key}
    lines: dict[str, list[Method]] = {}
    for method in sorted(study.of_one_value, key=lambda m: level(m.flat.get(key)) or 0.0):
        lines.setdefault(study.text(method, others) if others else "", []).append(method)
    apart = len(lines) > len(COLOURS) or (len(lines) > 1 and max(map(len, lines.values())) == 1)
    return {CLOUD: [m for methods in lines.values() for m in methods]} if apart else lines


def _add(
    fig: go.Figure, methods: Sequence[Method], key: str, which: str, title: str,
    looks: Sequence[Look], row: int,
) -> None:  # fmt: skip
    x = np.array([level(m.flat[key]) for m in methods], dtype=np.float64)
    found = [m.statistics[which] for m in methods]
    colour = shared_colour(looks)
    lines = title != CLOUD and len(set(x)) == len(x) > 1
    fig.add_scatter(
        x=x, y=[f.estimate for f in found], name=plain_text(title), legendgroup=plain_text(title),
        showlegend=bool(title) and row == 1, mode="lines+markers" if lines else "markers",
        line={"color": colour, "dash": looks[0].dash, "width": 2},
        marker={
            "symbol": [one.marker for one in looks], "color": [one.colour for one in looks],
            "size": 9,
        },
        error_y={
            "array": [f.high - f.estimate if is_known(f) else 0 for f in found],
            "arrayminus": [f.estimate - f.low if is_known(f) else 0 for f in found],
            "thickness": 1.2, "width": 4, "color": colour,
        },
        text=[plain_text(m.label) for m in methods], row=row, col=1,
    )  # fmt: skip


def _axis(levels: list[float]) -> dict[str, Any]:
    """Return an axis: logarithmic if most levels are far below the largest.

    Its ticks are the levels, if their labels have room.
    """
    spread = levels[0] > 0 and levels[len(levels) // 2] < levels[-1] / 4
    places = np.log10(levels) if spread else np.array(levels)
    room = np.diff(places).min() > ROOM * (places[-1] - places[0])
    ticks = {"tickvals": levels, "ticktext": [value_text(x) for x in levels]} if room else {}
    return {"type": "log" if spread else "linear", **ticks}


def _rows(study: Study, key: str) -> Iterator[tuple[Cell, ...]]:
    for method in study.of_one_value:
        found = (method.statistics[name] for name in DRAWN)
        yield method.label, level(method.flat[key]), *found
