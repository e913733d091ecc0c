"""Tables as CSV and as HTML."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Iterator, Sequence

from ..analysis.statistics import Interval
from .numbers import interval_text, number
from .section import Cell, Table

MAX_ROWS = 200
"""Most rows on the page; the CSV has all."""

LONG = 40
"""Characters in a cell; a longer text may break anywhere on paper."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of texts that a spreadsheet would run as formulas."""


def to_csv(table: Table) -> str:
    """Return all rows with every digit; an interval takes three columns: name, _low and _high."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    wide = [any(isinstance(row[i], Interval) for row in table.rows) for i in _columns(table)]
    writer.writerow(_header(table.columns, wide))
    for row in table.rows:
        writer.writerow([x for cell, w in zip(row, wide, strict=True) for x in _csv(cell, w)])
    return out.getvalue()


def to_html(table: Table, caption: str) -> str:
    """Return the table, thinned evenly to `MAX_ROWS`, with all text escaped."""
    rows = thinned(table.rows)
    if len(rows) < len(table.rows):
        caption += f": {len(rows)} of {len(table.rows):,} rows (the CSV has all)"
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    body = "".join(
        f"<tr>{''.join(_html(cell, i) for i, cell in enumerate(row))}</tr>" for row in rows
    )
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{html.escape(caption)}"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def thinned(rows: Sequence[tuple[Cell, ...]]) -> Sequence[tuple[Cell, ...]]:
    """Return at most `MAX_ROWS` rows, evenly spread, including the first and the last."""
    if len(rows) <= MAX_ROWS:
        return rows
    last = len(rows) - 1
    return [rows[round(i * last / (MAX_ROWS - 1))] for i in range(MAX_ROWS)]


def _columns(table: Table) -> range:
    return range(len(table.columns))


def _header(columns: Sequence[str], wide: Sequence[bool]) -> Iterator[str]:
    for name, three in zip(columns, wide, strict=True):
        yield from (name, f"{name}_low", f"{name}_high") if three else (name,)


def _csv(cell: Cell, wide: bool) -> tuple[object, ...]:
    if isinstance(cell, Interval):
        return tuple(_plain(x) for x in cell)
    return (_plain(cell), "", "") if wide else (_plain(cell),)


def _plain(cell: Cell) -> object:
    """Return a value for the CSV: empty if it is not finite, quoted if it would be a formula."""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return "" if cell is None or (isinstance(cell, float) and not math.isfinite(cell)) else cell


def _html(cell: Cell, column: int) -> str:
    text = html.escape(_text(cell))
    if column == 0:
        return f'<th scope="row">{text}</th>'
    if not isinstance(cell, str):
        return f'<td class="number">{text}</td>'
    return f'<td class="long">{text}</td>' if len(cell) > LONG else f"<td>{text}</td>"


def _text(cell: Cell) -> str:
    if isinstance(cell, Interval):
        return interval_text(cell)
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else number(cell)
