"""Sections of a page: a title, a text, a figure and the table behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ..analysis.statistics import Interval

Cell = str | int | float | Interval | None
"""Content of a table cell; None is empty."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table behind a figure, or on its own."""

    columns: tuple[str, ...]
    """Heads of the columns."""
    rows: tuple[tuple[Cell, ...], ...]
    """A cell per column; an `Interval` takes three columns in the CSV."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video with its title; source: a URL of the kind `data:`."""

    title: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a page.

    Its texts are not escaped, except inside the figure, where plotly would read markup.
    """

    id: str
    """Unique on the page, and valid as an HTML id and a file name."""
    title: str
    text: str
    """Explanation of the content, a paragraph per line."""
    figure: go.Figure | None = None
    table: Table | None = None
    videos: tuple[Video, ...] = ()
    source: str = ""
    """Text to be shown verbatim."""


def section(id: str, title: str, text: str, **parts: Any) -> Section | None:
    """Return a section; None if its figure has nothing to show."""
    figure = parts.get("figure")
    if figure is not None and not figure.data:
        return None
    return Section(id=id, title=title, text=text, **parts)
