"""The report as one HTML file, which needs no network and may use none."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path

from plotly.offline import get_plotlyjs

from ..common.errors import UserError
from .assets import SCRIPT, STYLE
from .data import ReportData, read
from .headline import headline
from .section import Section
from .sections import sections
from .tables import to_csv, to_html
from .verdict.cards import Card, card_groups
from .verdict.words import RULE, RULE_TITLE


def write_report(paths: Sequence[Path], output: Path) -> Path:
    """Read the runs, write the page and return its path. Raises UserError."""
    page = render(read(paths))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {output}: {error.strerror}") from None
    return output


def render(data: ReportData) -> str:
    """Return the page as HTML. Every text of users is escaped."""
    found, title = sections(data), html.escape(data.title)
    plotly = get_plotlyjs()
    parts = [
        f"<h1>{title}</h1>",
        *[f'<p class="headline">{html.escape(line)}</p>' for line in headline(data).split("\n")],
        _cards(data),
        _contents(found),
        "<main>",
        *[_section(one) for one in found],
        "</main>",
        "<noscript><p>Figures need JavaScript. The tables hold the same numbers.</p></noscript>",
        f"<script>{plotly}</script><script>{SCRIPT}</script>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(plotly, SCRIPT)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _policy(*scripts: str) -> str:
    """Return a policy that forbids all connections, and all scripts but these.

    A script in a text that was not escaped would not run.
    """
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
    )


def _cards(data: ReportData) -> str:
    """Return the cards of each verdict, and the rule behind them, folded away."""
    groups = card_groups(data.studies)
    if not groups:
        return ""
    shown = "".join(
        (f'<p class="cards-title">{html.escape(group.title)}</p>' if group.title else "")
        + f'<dl class="cards">{"".join(map(_card, group.cards))}</dl>'
        for group in groups
    )
    rule = f"<summary>{RULE_TITLE}</summary><p>{html.escape(RULE)}</p>"
    return f'<div id="cards">{shown}</div><details id="rule">{rule}</details>'


def _card(card: Card) -> str:
    name, value, more, note = map(html.escape, (card.name, card.value, card.more, card.note))
    value = f"<strong>{value}</strong> <span>{more}</span>"
    return f'<div><dt>{name}</dt><dd class="value">{value}</dd><dd>{note}</dd></div>'


def _contents(found: Sequence[Section]) -> str:
    items = "".join(f'<li><a href="#{one.id}">{html.escape(one.title)}</a></li>' for one in found)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _section(one: Section) -> str:
    title, kind = html.escape(one.title), "" if one.figure is None else ' class="drawn"'
    text = "".join(f"<p>{html.escape(line)}</p>" for line in one.text.split("\n"))
    return (
        f'<section{kind} id="{one.id}" aria-labelledby="{one.id}-title">'
        f'<h2 id="{one.id}-title">{title}</h2><div class="text" id="{one.id}-text">{text}</div>'
        f"{_videos(one)}{_figure(one)}{_table(one)}{_source(one)}</section>"
    )


def _figure(one: Section) -> str:
    if one.figure is None:
        return ""
    label = html.escape(f"{one.title}. The table below contains the numbers.")
    return (
        f'<figure><div class="plot" role="img" aria-label="{label}" '
        f'aria-describedby="{one.id}-text" data-figure="{one.id}-figure"></div></figure>'
        + _block(f"{one.id}-figure", one.figure.to_json())
    )


def _videos(one: Section) -> str:
    shown = (
        f'<figure class="video"><figcaption>{html.escape(video.title)}</figcaption>'
        f'<video controls preload="metadata" src="{html.escape(video.source)}"></video></figure>'
        for video in one.videos
    )
    return "".join(shown)


def _table(one: Section) -> str:
    """Return the table: folded if the section has a figure, open if it has none."""
    if one.table is None:
        return ""
    body = to_html(one.table, one.title) + (
        f'<button type="button" data-csv="{one.id}-csv" data-name="{one.id}.csv">'
        "Download as CSV</button>" + _block(f"{one.id}-csv", json.dumps({"csv": to_csv(one.table)}))
    )
    if one.figure is None:
        return body
    return f"<details><summary>Table: {html.escape(one.title)}</summary>{body}</details>"


def _source(one: Section) -> str:
    return f'<pre tabindex="0">{html.escape(one.source)}</pre>' if one.source else ""


def _block(id: str, text: str) -> str:
    """Return a block of JSON data; no text inside can close the block."""
    safe = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{id}">{safe}</script>'
