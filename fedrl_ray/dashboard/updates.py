"""Updates for one browser: only what has changed since its last update.

Dash rebuilds everything inside a component whose children change, and so loses zoom, opened tables
and scroll positions. New sections therefore go into an empty container after the existing ones, and
their style alone (CSS `order`) moves them to their position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from .layout import kind, paragraphs
from .live import Snapshot
from .parts import Part, digest_of
from .trials import TrialRow
from .trials_table import trial_properties

Known = dict[str, Any]
"""State of a browser, which sends it back with each request.

`version`: of the last snapshot. `sections`: id -> [digest, has a figure]. `places`: number of
filled containers. `rows`: digest of each trial's row.
"""

Property = tuple[Any, dict[str, Any]]
"""Id of a component, and the properties to set on it."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """Changes that bring a browser up to date."""

    known: Known
    """State of the browser after the update."""
    added: list[tuple[Part, int]] = field(default_factory=list)
    """New sections, each with its position on the page."""
    place: int = 0
    """Number of the container that they fill; 0 clears the page."""
    properties: list[Property] = field(default_factory=list)
    """Changes to components that are on the page."""
    new_rows: bool = True
    """True: list all trials again, because their number has changed."""


def update_of(snapshot: Snapshot, known: Known) -> Update | None:
    """Return the update for a browser, or None if it is up to date."""
    if known.get("version") == snapshot.version:
        return None
    want = {part.id: [part.digest, part.figure is not None] for part in snapshot.parts}
    have, place = _kept(known, want)
    positions = {part.id: number for number, part in enumerate(snapshot.parts)}
    added = [(part, positions[part.id]) for part in snapshot.parts if part.id not in have]
    changed = [part for part in snapshot.parts if have.get(part.id, want[part.id]) != want[part.id]]
    properties = [change for part in changed for change in _changes(part)]
    properties += [(id, {"style": _style(positions.get(id))}) for id in have]
    rows = [digest_of(astuple(row)) for row in snapshot.rows]
    listed: list[str] = known.get("rows", [])
    if len(rows) == len(listed):
        properties += _changed_rows(snapshot.rows, rows, listed)
    return Update(
        known={
            "version": snapshot.version,
            "sections": have | want,
            "places": place + bool(added),
            "rows": rows,
        },
        added=added,
        place=place,
        properties=properties,
        new_rows=len(rows) != len(listed),
    )


def _changed_rows(
    found: Sequence[TrialRow], digests: list[str], listed: list[str]
) -> list[Property]:
    places = zip(found, digests, listed, strict=True)
    return [
        (kind("row", i), trial_properties(row, i))
        for i, (row, new, old) in enumerate(places)
        if new != old
    ]


def _kept(known: Known, want: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], int]:
    """Return the sections that stay on the page, and the number of the next empty container.

    None stays if a section has gained or lost its figure.
    """
    have: dict[str, list[Any]] = known.get("sections", {})
    if any(have[id][1] != want[id][1] for id in have.keys() & want.keys()):
        return {}, 0
    return have, known.get("places", 0)


def _style(number: int | None) -> dict[str, Any]:
    """Return the style for a position; it hides a section that has left the page."""
    return {"display": "none"} if number is None else {"order": number}


def _changes(part: Part) -> list[Property]:
    changes: list[Property] = [
        (kind("title", part.id), {"children": part.title}),
        (kind("text", part.id), {"children": paragraphs(part)}),
        (kind("table", part.id), {"data-html": part.table_html}),
        (kind("source", part.id), {"children": part.source, "hidden": not part.source}),
    ]
    figure = [(kind("figure", part.id), {"data": part.figure})] if part.figure else []
    return [*changes, *figure]
