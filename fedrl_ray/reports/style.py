"""Style of figures: colours, dashes and markers that differ even without colour vision."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from algorithms.types import Array

# Palette of Okabe and Ito, dark colours first; its yellow (#F0E442) is too light on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px,1px,2px,1px,2px")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")

ONE_PANEL, PANEL, TOP, BOTTOM = 330, 260, 40, 110
"""Heights in pixels. Three panels fit on a printed page."""


class Look(NamedTuple):
    """Colour, dash and marker of a line; `size` in pixels is that of a single point."""

    colour: str
    dash: str
    marker: str
    size: float = 9


def look(index: int) -> Look:
    """Return the look of a line; after seven lines, colours repeat with other dashes."""
    turn, place = divmod(index, len(COLOURS))
    shifted = (place + turn) % len(COLOURS)
    return Look(COLOURS[place], DASHES[shifted], MARKERS[shifted])


def plain_text(text: str) -> str:
    """Return a text that plotly, which reads markup, shows as it is."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def figure(x_title: str, y_title: str, panels: Sequence[str] = ("",)) -> go.Figure:
    """Return an empty figure: panels one above the other, the legend below."""
    rows = max(1, len(panels))
    titles = [plain_text(title) for title in panels] if any(panels) else None
    inner = ONE_PANEL if rows == 1 else PANEL * rows
    fig = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, subplot_titles=titles,
        vertical_spacing=50 / inner if rows > 1 else 0,
    )  # fmt: skip
    fig.update_layout(layout(inner + TOP + BOTTOM))
    fig.update_annotations(x=0, xanchor="left", font_size=14)  # the toolbar is on the right
    fig.update_yaxes(axis(title_text=y_title))
    fig.update_xaxes(axis())
    fig.update_xaxes(title_text=x_title, row=rows, col=1)
    return fig


def layout(height: int) -> dict[str, Any]:
    """Return the layout that all figures share; without a width, so that they fill theirs."""
    return {
        "template": "plotly_white",
        "font": {"size": 14, "color": "#1a1a1a"},
        "height": height,
        "margin": {"l": 10, "r": 16, "t": TOP, "b": 10},
        "legend": {
            "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom",
            "x": 0, "xanchor": "left", "font": {"size": 13},
        },
        "hoverlabel": {"align": "left"},
    }  # fmt: skip


def axis(**more: Any) -> dict[str, Any]:
    """Return an axis that makes room for its own labels."""
    own = {"automargin": True, "zeroline": False, "linecolor": "#888", "ticks": "outside"}
    return own | {"title_font_size": 14, "title_standoff": 8} | more


def scale(curves: Sequence[Array]) -> dict[str, Any]:
    """Return a logarithmic axis if positive values span a decade, with ticks at 1, 2, 5 or 1."""
    low, high = min(c.min() for c in curves), max(c.max() for c in curves)
    if low <= 0 or high < 10 * low:
        return {}
    digits = (1, 2, 5) if high < 300 * low else (1,)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in digits]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def line(
    fig: go.Figure, x: Sequence[float] | Array, y: Sequence[float] | Array, name: str,
    chosen: Look, *, group: str = "", width: float = 2, shape: str = "linear", **more: Any,
) -> None:  # fmt: skip
    """Add a line with a dozen markers; the legend shows and hides a group together."""
    fig.add_scatter(
        x=x, y=y, name=plain_text(name), legendgroup=plain_text(group or name),
        mode="lines+markers",
        line={"color": chosen.colour, "dash": chosen.dash, "width": width, "shape": shape},
        marker={"symbol": chosen.marker, "size": 7, "maxdisplayed": 12},
        col=1, **more,
    )  # fmt: skip


def points(
    fig: go.Figure, x: Sequence[str], y: Array, low: Array, high: Array, name: str, chosen: Look,
    **more: Any,
) -> None:  # fmt: skip
    """Add a point with its interval for each category; categories have no line between them."""
    known = bool(np.isfinite(low).all())
    fig.add_scatter(
        x=x, y=y, name=plain_text(name), legendgroup=plain_text(name), mode="markers",
        marker={"symbol": chosen.marker, "size": 9, "color": chosen.colour},
        error_y={"type": "data", "symmetric": False, "array": high - y, "arrayminus": y - low,
                 "visible": known, "thickness": 1.5},
        col=1, **more,
    )  # fmt: skip


def band(
    fig: go.Figure, x: Array, low: Array, high: Array, group: str, chosen: Look, **more: Any
) -> None:
    """Add the interval around a line, shown and hidden with it; nothing if it is unknown."""
    if not len(x) or not np.isfinite(low).all():
        return
    fig.add_scatter(
        x=np.concatenate([x, x[::-1]]), y=np.concatenate([high, low[::-1]]),
        fill="toself", fillcolor=faded(chosen.colour, 0.15), line={"width": 0}, mode="lines",
        legendgroup=plain_text(group), showlegend=False, hoverinfo="skip", col=1, **more,
    )  # fmt: skip


def focus(fig: go.Figure, seeds: Sequence[Array], bands: Sequence[Array]) -> None:
    """Fit the y axes to the values of the seeds.

    Bands of two or three seeds can be much wider. They are clipped if they leave the range of the
    seeds by more than a quarter of it.
    """
    seen = [x[np.isfinite(x)] for x in (*seeds, *bands)]
    if not any(x.size for x in seen[: len(seeds)]):
        return
    own, wide = np.concatenate(seen[: len(seeds)]), np.concatenate(seen)
    margin = max(np.ptp(own), 1e-3 * np.abs(own).max(), 1e-12) / 4
    low, high = max(wide.min(), own.min() - margin), min(wide.max(), own.max() + margin)
    fig.update_yaxes(range=[low - 0.1 * margin, high + 0.1 * margin])


CLIPPED = "Wide bands are clipped to the plotted range; the table lists the full interval."
"""Sentence for figures whose axes `focus` has fitted."""


def faded(colour: str, opacity: float) -> str:
    """Return a colour with an opacity."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
