"""What a browser needs to be told, given what it knows: no more than has changed.

Dash builds whatever lies inside a component anew when its children change, and with it go zoom,
opened tables and scroll positions. So sections that come later go into an empty place of their
own after those that are there, and only their style puts them where they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from .layout import kind, paragraphs, trial
from .live import Snapshot
from .parts import Part, digest_of
from .trials import TrialRow

Known = dict[str, Any]
"""`version`; `sections`: of each on the page `[digest, whether it is drawn]`; `places`: how many
have been filled; `rows`: the digest of each trial's row."""

Property = tuple[Any, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Update:
    """added: sections that are new to the page, each with where it stands. place: which place they
    fill; 0 clears the page. properties: (component id, what to set) of what is there. new_rows:
    whether the trials are to be listed anew, as there are more or fewer."""

    known: Known
    added: list[tuple[Part, int]] = field(default_factory=list)
    place: int = 0
    properties: list[Property] = field(default_factory=list)
    new_rows: bool = True


def update_of(snapshot: Snapshot, known: Known) -> Update | None:
    """None where the browser is up to date."""
    if known.get("version") == snapshot.version:
        return None
    want = {part.id: [part.digest, part.figure is not None] for part in snapshot.parts}
    have, place = _kept(known, want)
    stands = {part.id: number for number, part in enumerate(snapshot.parts)}
    added = [(part, stands[part.id]) for part in snapshot.parts if part.id not in have]
    changed = [part for part in snapshot.parts if have.get(part.id, want[part.id]) != want[part.id]]
    properties = [change for part in changed for change in _changes(part)]
    properties += [(id, {"style": _style(stands.get(id))}) for id in have]
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
    return [(kind("row", i), trial(row)) for i, (row, new, old) in enumerate(places) if new != old]


def _kept(known: Known, want: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], int]:
    """Sections that stay on the page, and the next empty place; none stays where one has got or
    lost its figure."""
    have: dict[str, list[Any]] = known.get("sections", {})
    if any(have[id][1] != want[id][1] for id in have.keys() & want.keys()):
        return {}, 0
    return have, known.get("places", 0)


def _style(number: int | None) -> dict[str, Any]:
    """Where a section stands; nowhere if it is no longer part of the page."""
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
