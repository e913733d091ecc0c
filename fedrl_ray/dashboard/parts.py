"""Sections as a browser gets them, each with a digest: what has not changed is not sent again."""

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
    """A section of the page.

    figure: as plotly.js takes it. table_html: made and escaped by the report. table: what the CSV
    is made of.
    """

    id: str
    title: str
    text: str
    figure: dict[str, Any] | None
    table: Table | None
    table_html: str
    source: str
    digest: str


def part_of(section: Section) -> Part:
    """A section, ready to be sent."""
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
    """The figure as JSON. `uirevision` keeps the reader's zoom and choice of lines when new data
    come; for that a line must keep its name (`uid`) when others come before it."""
    found: dict[str, Any] = json.loads(figure.to_json())
    found["layout"]["uirevision"] = id
    seen: Counter[str] = Counter()
    for trace in found["data"]:
        name = f"{trace.get('legendgroup', '')}/{trace.get('name', '')}"
        trace["uid"] = digest_of([name, seen[name]])  # plotly.js makes ids of it: letters, digits
        seen[name] += 1
    return found


def digest_of(value: Any) -> str:
    """Equal for equal values of JSON, and fit for an id."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
