"""What a page or a dashboard shows: sections, each a figure with the table behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ..analysis.statistics import Interval

Cell = str | int | float | Interval | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """columns: their names. rows: a cell per column; an `Interval` is three numbers in the CSV."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """id: unique on the page, fit for an HTML id and a file name. text: what is shown and how it
    came about, a paragraph per line. figure, table, source (text shown as it is): where there is
    one. Nothing is escaped but what stands inside the figure, where plotly would read markup."""

    id: str
    title: str
    text: str
    figure: go.Figure | None = None
    table: Table | None = None
    source: str = ""


def section(id: str, title: str, text: str, **parts: Any) -> Section | None:
    """A section; None where its figure has nothing to show."""
    figure = parts.get("figure")
    if figure is not None and not figure.data:
        return None
    return Section(id=id, title=title, text=text, **parts)
