"""Which methods share a panel, and how each is drawn: many lines stay readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import plotly.graph_objects as go

from .keys import OMEGA
from .methods import Method
from .studies import Study
from .style import COLOURS, Look, figure, look

MOST_LINES, MOST_PANELS = len(COLOURS), 6


class Line(NamedTuple):
    """A method in a panel. shown: whether at once, or when its name in the legend is chosen."""

    method: Method
    name: str
    look: Look
    shown: bool = True


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
        """What to say of lines that wait to be chosen."""
        hidden = sum(not line.shown for panel in self.panels for line in panel.lines)
        if not hidden:
            return ""
        return (
            f" Drawn at first: the {MOST_LINES} best in the worst environment; choose others by "
            "their names in the legend."
        )

    def __iter__(self) -> Iterator[tuple[Line, dict[str, Any]]]:
        """Each line with what all of its traces take: row, legend group, visibility."""
        named: set[str] = set()
        for row, panel in enumerate(self.panels, start=1):
            for line in panel.lines:
                visible = True if line.shown else "legendonly"
                first = line.name not in named
                named.add(line.name)
                yield line, {"row": row, "visible": visible, "showlegend": first}


def canvas(study: Study, methods: Sequence[Method], x_title: str, y_title: str) -> Canvas:
    """An empty figure for these methods."""
    found = panels(study, methods)
    titles = [panel.title for panel in found]
    fig = figure(x_title, y_title, titles)
    for row in range(2, len(found) + 1):  # panels are there to be compared
        fig.update_yaxes(matches="y", row=row, col=1)
    return Canvas(fig, tuple(found))


def panels(study: Study, methods: Sequence[Method]) -> list[Panel]:
    """One panel while the lines are few; else one per value of the other keys, the lines being
    levels of omega (or of the first key that differs); else the best in one panel."""
    if len(methods) > MOST_LINES:
        split = _split(study, methods)
        if 1 < len(split) <= MOST_PANELS and all(len(p.lines) <= MOST_LINES for p in split):
            return split
    return [Panel("", tuple(_flat(study, methods)))]


def _split(study: Study, methods: Sequence[Method]) -> list[Panel]:
    line_key = OMEGA if OMEGA in study.names else next(iter(study.names), "")
    inner = {k: n for k, n in study.names.items() if k == line_key}
    outer = {k: n for k, n in study.names.items() if k != line_key}
    names = list(dict.fromkeys(study.text(m, inner) for m in study.methods))
    found: dict[str, list[Line]] = {}
    for method in methods:
        name = study.text(method, inner)
        line = Line(method, name, look(names.index(name)))
        found.setdefault(study.text(method, outer), []).append(line)
    return [Panel(title, tuple(lines)) for title, lines in found.items()]


def _flat(study: Study, methods: Sequence[Method]) -> Iterator[Line]:
    ranked = sorted(methods, key=_worst, reverse=True)[:MOST_LINES]
    for method in methods:
        chosen = look(study.methods.index(method))  # the same in every figure
        yield Line(method, method.label, chosen, method in ranked)


def _worst(method: Method) -> float:
    return method.figures["worst"].estimate if method.figures else float("-inf")
