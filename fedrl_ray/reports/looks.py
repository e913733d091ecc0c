"""Looks of methods, the same in every figure: colour encodes omega, and the marker encodes E.

No figure needs colour vision: dashes tell the lines of a panel apart, and a larger omega has larger
points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plotly.colors import sample_colorscale

from .keys import OMEGA, SYNC
from .methods import Method, canonical
from .style import DASHES, MARKERS, Look, look

SCALE, BRIGHTEST = "Plasma", 0.64
"""Sequential scale of omega, from dark to bright; beyond this part it is too light on white."""
SMALLEST, LARGEST = 8.0, 14.0
"""Pixels of a point at the smallest and at the largest omega."""


def looks_of(methods: Sequence[Method], names: Mapping[str, str]) -> dict[Method, Look]:
    """Return the look of each method of a study; names: the keys in which the methods differ.

    If omega is the same everywhere, colours tell methods apart. Trials of a population change
    their keys, so each has a look of its own.
    """
    looks = {m: look(index) for index, m in enumerate(methods)}
    fixed = [m for m in methods if not m.alone]
    omegas = sorted({m.omega for m in fixed})
    intervals = sorted({m.sync_interval for m in fixed})
    kinds = list(dict.fromkeys(_without_interval(m) for m in fixed))
    for method in fixed:
        kind = kinds.index(_without_interval(method))
        looks[method] = Look(
            colour_of(method.omega, omegas) if OMEGA in names else looks[method].colour,
            DASHES[kind % len(DASHES)],
            MARKERS[intervals.index(method.sync_interval) % len(MARKERS)],
            SMALLEST + (LARGEST - SMALLEST) * _place(method.omega, omegas),
        )
    return looks


def colour_of(omega: float, omegas: Sequence[float]) -> str:
    """Return the colour of one omega among sorted ones, evenly spread by their order."""
    (found,) = sample_colorscale(SCALE, [BRIGHTEST * _place(omega, omegas)])
    red, green, blue = (round(float(x)) for x in found[4:-1].split(","))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _place(omega: float, omegas: Sequence[float]) -> float:
    """Return the place of one omega in the order of all, in [0, 1]."""
    return omegas.index(omega) / max(1, len(omegas) - 1)


def shared_colour(looks: Sequence[Look]) -> str:
    """Return the colour that all looks share; grey if they differ."""
    colours = {one.colour for one in looks}
    return colours.pop() if len(colours) == 1 else "#767676"


def legend_note(names: Mapping[str, str]) -> str:
    """Return a sentence on the encoding, for the keys that differ; empty if neither does."""
    parts = []
    if OMEGA in names:
        parts.append("colour shows omega, from dark (small) to bright (large),")
    if SYNC in names:
        parts.append("the marker shows E")
    text = " and ".join(parts).rstrip(",")
    return f" In every figure, {text}." if text else ""


def size_note(names: Mapping[str, str]) -> str:
    """Return a sentence on the size of points, if omega differs."""
    return " A larger point has a larger omega." if OMEGA in names else ""


def _without_interval(method: Method) -> str:
    return canonical({key: value for key, value in method.flat.items() if key != SYNC})
