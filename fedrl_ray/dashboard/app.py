"""The Dash app: one page and one read-only callback that sends what has changed."""

from __future__ import annotations

import time
from typing import Any

import typer
from dash import ALL, MATCH, Dash, Input, Output, State, no_update, set_props
from flask import Response, abort

from ..reports.assets import FIT, STYLE
from ..reports.tables import to_csv
from . import layout, script, trials_script
from .bodies import is_known
from .guard import guard
from .live import Live, Snapshot
from .updates import Known, update_of

FIRST = 10.0
"""Seconds that a page waits until the files have been read for the first time."""

HEADS = ("title", "state", "headline", "cards", "contents", "trial-rows")
"""Ids of the elements above the sections."""

_SCRIPT = script.SCRIPT + trials_script.SCRIPT + FIT

_INDEX = f"""<!doctype html>
<html lang="en"><head>{{%metas%}}<title>{{%title%}}</title>{{%favicon%}}{{%css%}}
<style>{STYLE}{script.STYLE}{trials_script.STYLE}</style></head>
<body><p class="note" id="silent" role="alert" hidden>The dashboard does not answer. It may
have been stopped. The page shows its last answer.</p>
{{%app_entry%}}<noscript><p>This page needs JavaScript. <code>fedrl-ray report</code> writes a page
whose tables work without it.</p></noscript>
<script>{_SCRIPT}</script>{{%config%}}{{%scripts%}}{{%renderer%}}</body></html>
"""


def build(live: Live, *, hosts: list[str] | None = None) -> Dash:
    """Return the app that shows one reader's snapshots.

    hosts: accepted names in a request's Host header; None accepts any name.
    """
    app = Dash(
        "fedrl_ray.dashboard",
        title="fedrl-ray dashboard",
        update_title=None,  # type: ignore[arg-type]  # keep the title while waiting for an answer
        index_string=_INDEX,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        include_assets_files=False,
        include_pages_meta=False,
        pages_folder="",
        serve_locally=True,
        suppress_callback_exceptions=True,  # sections are added later
        add_log_handler=False,
        enable_mcp=False,
    )
    app.layout = layout.page()
    _connect(app, live)
    app.server.add_url_rule("/csv/<id>.csv", view_func=lambda id: _csv(live, id), endpoint="csv")
    guard(app, _SCRIPT, hosts)
    return app


def _connect(app: Dash, live: Live) -> None:
    @app.callback(
        output={
            "heads": [Output(id, "children") for id in HEADS],
            "places": Output(layout.kind("place", ALL), "children"),
            "known": Output("known", "data"),
            "clock": Output("clock", "data"),
        },
        inputs=[
            Input("tick", "n_intervals"),
            State("known", "data"),
            State(layout.kind("place", ALL), "id"),
        ],
    )
    def ask(n_intervals: int | None, known: Known | None, places: list[Any]) -> dict[str, Any]:
        """Answer a browser's periodic request."""
        if not is_known(known or {}) or len(places) <= (known or {}).get("places", 0):
            abort(400)
        try:
            return answer(live.snapshot(wait=FIRST), known or {}, len(places))
        except Exception as error:  # an error of ours: the page shows its last answer
            typer.echo(f"dashboard: {type(error).__name__}: {error}", err=True)
            abort(500)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        script.FIT,
        Output(layout.kind("graph", MATCH), "figure"),
        Output(layout.kind("graph", MATCH), "style"),
        Input(layout.kind("figure", MATCH), "data"),
        State(layout.kind("graph", MATCH), "figure"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        script.CLOCK, Output("clock", "modified_timestamp"), Input("clock", "data")
    )


def answer(snapshot: Snapshot, known: Known, num_places: int) -> dict[str, Any]:
    """Return the callback's outputs, and set properties of sections already on the page."""
    heads: list[Any] = [no_update] * len(HEADS)
    places: list[Any] = [no_update] * num_places
    clock = {"now": time.time(), "title": _name(snapshot)}
    update = update_of(snapshot, known)
    if update is None:
        return {"heads": heads, "places": places, "known": no_update, "clock": clock}
    for id, properties in update.properties:
        set_props(id, properties)
    if update.added:
        added = [layout.section(part, number) for part, number in update.added]
        places[update.place] = [*added, layout.place(update.place + 1)]
    heads = _heads(snapshot)
    if not update.new_rows:
        heads[-1] = no_update
    return {"heads": heads, "places": places, "known": update.known, "clock": clock}


def _heads(snapshot: Snapshot) -> list[Any]:
    return [
        _name(snapshot),
        layout.state(snapshot),
        layout.headlines(snapshot.headline),
        layout.cards(snapshot.cards),
        layout.contents(snapshot.parts),
        layout.trial_rows(snapshot.rows),
    ]


def _name(snapshot: Snapshot) -> str:
    return snapshot.title or "fedrl-ray dashboard"


def _csv(live: Live, id: str) -> Response:
    """Return all rows of a section's table as a CSV response; 404 if there is no such table."""
    for part in live.snapshot(wait=FIRST).parts:
        if part.id == id and part.table is not None:
            headers = {"Content-Disposition": f'attachment; filename="{id}.csv"'}
            return Response(
                to_csv(part.table), content_type="text/csv; charset=utf-8", headers=headers
            )
    abort(404)
