"""What a browser needs to be told, given what it knows: no more than has changed.

Sections are only ever added at the end of the page and put in their place by their style. So none
is built anew, and its zoom, its opened table and its scroll position stay as the reader left them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .layout import kind, paragraphs
from .live import Snapshot
from .parts import Part

Known = dict[str, Any]
"""`version`, and of each section on the page its `[digest, whether it is drawn]`."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """added: sections that are new to the page. anew: the page starts from nothing. properties:
    (component id, what to set) of the sections that are there."""

    known: Known
    added: list[tuple[Part, int]] = field(default_factory=list)
    anew: bool = False
    properties: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)


def update_of(snapshot: Snapshot, known: Known) -> Update | None:
    """None where the browser is up to date."""
    if known.get("version") == snapshot.version:
        return None
    have: dict[str, list[Any]] = known.get("sections", {})
    want = {part.id: [part.digest, part.figure is not None] for part in snapshot.parts}
    places = {part.id: place for place, part in enumerate(snapshot.parts)}
    anew = any(have[id][1] != want[id][1] for id in have.keys() & want.keys())
    if anew:
        have = {}
    update = Update(known={"version": snapshot.version, "sections": have | want}, anew=anew)
    for part in snapshot.parts:
        if part.id not in have:
            update.added.append((part, places[part.id]))
        elif have[part.id][0] != part.digest:
            update.properties.extend(_changes(part))
    for id in have:
        update.properties.append((id, {"style": _style(places.get(id))}))
    return update


def _style(place: int | None) -> dict[str, Any]:
    """Where a section stands; nowhere if it is no longer part of the page."""
    return {"display": "none"} if place is None else {"order": place}


def _changes(part: Part) -> list[tuple[Any, dict[str, Any]]]:
    changes: list[tuple[Any, dict[str, Any]]] = [
        (kind("title", part.id), {"children": part.title}),
        (kind("text", part.id), {"children": paragraphs(part)}),
        (kind("table", part.id), {"data-html": part.table_html}),
        (kind("source", part.id), {"children": part.source, "hidden": not part.source}),
    ]
    figure = [(kind("figure", part.id), {"data": part.figure})] if part.figure else []
    return [*changes, *figure]
