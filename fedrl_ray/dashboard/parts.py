"""Sections in the form that a browser gets, each with a digest to detect changes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ..reports.section import Section, Table
from ..reports.tables import to_html


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the page."""

    id: str
    title: str
    text: str
    figure: dict[str, Any] | None
    """JSON for plotly.js."""
    table: Table | None
    """Source of the CSV."""
    table_html: str
    """HTML that the report made and escaped."""
    source: str
    digest: str


def part_of(section: Section) -> Part:
    """Return a section in the form that a browser gets."""
    figure = None if section.figure is None else live_figure(section.figure, section.id)
    html = "" if section.table is None else to_html(section.table, section.title)
    shown = (section.title, section.text, figure, html, section.source)
    return Part(
        id=section.id,
        title=section.title,
        text=section.text,
        figure=figure,
        table=section.table,
        table_html=html,
        source=section.source,
        digest=digest_of(shown),
    )


def live_figure(figure: go.Figure, id: str) -> dict[str, Any]:
    """Return the figure as JSON for plotly.js.

    `uirevision` keeps the reader's zoom and choice of lines when new data arrive. This needs a
    `uid` per line that stays the same when other lines are added before it.
    """
    found: dict[str, Any] = json.loads(figure.to_json())
    found["layout"]["uirevision"] = id
    seen: Counter[str] = Counter()
    for trace in found["data"]:
        name = f"{trace.get('legendgroup', '')}/{trace.get('name', '')}"
        trace["uid"] = digest_of([name, seen[name]])  # plotly.js needs letters and digits only
        seen[name] += 1
    return found


def digest_of(value: Any) -> str:
    """Return a digest of a JSON value that is valid as an HTML id."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
