"""Panels: groups of methods that share axes, so that many lines stay readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import plotly.graph_objects as go

from .keys import OMEGA, SYNC
from .methods import Method
from .studies import Study
from .style import COLOURS, Look, figure

MOST_LINES, MOST_PANELS = len(COLOURS), 6
"""Most lines drawn in a panel at first, and most panels in a figure."""
MOST_MIXED = 4
"""Most lines of several E in a panel: lines of the same omega have the same colour."""


class Line(NamedTuple):
    """A method in a panel."""

    method: Method
    name: str
    look: Look
    shown: bool = True
    """False: drawn only after the reader chooses its name in the legend."""


class Panel(NamedTuple):
    """Lines on the same axes."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Canvas:
    """A figure with its panels."""

    figure: go.Figure
    panels: tuple[Panel, ...]

    @property
    def note(self) -> str:
        """Sentences on lines that are not drawn at first; empty if there are none."""
        hidden = sum(not line.shown for panel in self.panels for line in panel.lines)
        if not hidden:
            return ""
        return (
            f" At first the figure shows the {MOST_LINES} methods that are best in the worst "
            "environment. Click a name in the legend to show another."
        )

    def __iter__(self) -> Iterator[tuple[Line, dict[str, Any]]]:
        """Yield each line with arguments for its traces: row, visibility, entry in the legend."""
        named: set[str] = set()
        for row, panel in enumerate(self.panels, start=1):
            for line in panel.lines:
                visible = True if line.shown else "legendonly"
                first = line.name not in named
                named.add(line.name)
                yield line, {"row": row, "visible": visible, "showlegend": first}


def canvas(study: Study, methods: Sequence[Method], x_title: str, y_title: str) -> Canvas:
    """Return an empty figure with panels for these methods."""
    found = panels(study, methods)
    titles = [panel.title for panel in found]
    fig = figure(x_title, y_title, titles)
    for row in range(2, len(found) + 1):  # equal axes, so that panels can be compared
        fig.update_yaxes(matches="y", row=row, col=1)
    return Canvas(fig, tuple(found))


def panels(study: Study, methods: Sequence[Method]) -> list[Panel]:
    """Return the panels of a figure.

    A few methods share one panel, fewer if omega and E both differ. More are split: a panel per
    value of the other keys, with a line per omega (or per value of the first key that differs). If
    the panels or their lines are too many, one panel shows the best methods at first.
    """
    mixed = {OMEGA, SYNC} <= study.names.keys()
    if len(methods) > (MOST_MIXED if mixed else MOST_LINES):
        split = _split(study, methods)
        if 1 < len(split) <= MOST_PANELS and all(len(p.lines) <= MOST_LINES for p in split):
            return split
    return [Panel("", tuple(_flat(study, methods)))]


def _split(study: Study, methods: Sequence[Method]) -> list[Panel]:
    line_key = OMEGA if OMEGA in study.names else next(iter(study.names), "")
    inner = {k: n for k, n in study.names.items() if k == line_key}
    outer = {k: n for k, n in study.names.items() if k != line_key}
    found: dict[str, list[Line]] = {}
    for method in methods:
        name = study.text(method, inner)
        line = Line(method, name, study.looks[method])
        found.setdefault(study.text(method, outer), []).append(line)
    return [Panel(title, tuple(lines)) for title, lines in found.items()]


def _flat(study: Study, methods: Sequence[Method]) -> Iterator[Line]:
    ranked = sorted(methods, key=_worst, reverse=True)[:MOST_LINES]
    for method in methods:
        yield Line(method, method.label, study.looks[method], method in ranked)


def _worst(method: Method) -> float:
    return method.statistics["worst"].estimate if method.statistics else float("-inf")
