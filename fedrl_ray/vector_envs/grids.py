"""Test grids over perturbed parameters."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import numpy as np

from algorithms.types import Array, Dynamics

from ..common.errors import UserError


def grid_points(
    ranges: Mapping[str, tuple[float, float]],
    nominal: Mapping[str, Array],
    *,
    size: int,
    seed: int,
    whole: Collection[str] = (),
) -> Dynamics:
    """Return the points of a test grid: each parameter [M] with M = `size`.

    One parameter gets an even grid with both ends. Several get all corners, the nominal point if it
    lies within the ranges, and a scrambled Halton design (scipy.stats.qmc) for the rest. Without
    parameters the grid is empty.

    whole: parameters whose values are whole numbers. A single one gets each number once, so M may
    be smaller than `size`.

    Raises UserError: `size` is too small, see `require_size`.
    """
    if not ranges:
        return {}
    require_size(ranges, size)
    if len(ranges) == 1:
        name, (low, high) = next(iter(ranges.items()))
        even = np.linspace(low, high, size)
        return {name: np.unique(np.round(even)) if name in whole else even}
    points = _design(ranges, nominal, size=size, seed=seed)
    return {n: np.round(x) if n in whole else x for n, x in points.items()}


def require_size(ranges: Mapping[str, tuple[float, float]], size: int) -> None:
    """Raise UserError if `size` has no room for the points that `grid_points` promises."""
    least = {0: 1, 1: 2}.get(len(ranges), 2 ** len(ranges) + 1)
    if size < least:
        raise UserError(
            f"evaluation.grid: must be at least {least} for {len(ranges)} perturbed parameters "
            f"({'all corners and nominal' if len(ranges) > 1 else 'both ends'}); got {size}"
        )


def _design(
    ranges: Mapping[str, tuple[float, float]], nominal: Mapping[str, Array], *, size: int, seed: int
) -> Dynamics:
    from scipy.stats import qmc  # its import takes a second, and a mere check does not need it

    corners = np.array(list(itertools.product(*ranges.values())))
    centre = np.array([[float(nominal[name][0]) for name in ranges]])
    low, high = np.array(list(ranges.values())).T
    fixed = [corners, centre] if ((low <= centre) & (centre <= high)).all() else [corners]
    rest = qmc.Halton(len(ranges), rng=seed).random(size - sum(map(len, fixed)))
    points = np.concatenate([*fixed, low + rest * (high - low)])
    return {name: points[:, i] for i, name in enumerate(ranges)}
