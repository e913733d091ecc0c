"""Test grids over perturbed parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from algorithms.types import Array, Dynamics

from ..common.errors import UserError


def grid_points(
    ranges: Mapping[str, tuple[float, float]], nominal: Mapping[str, Array], *, size: int, seed: int
) -> Dynamics:
    """Return the points of a test grid: each parameter [M] with M = `size`.

    One parameter gets an even grid with both ends. Several get all corners, the nominal point, and
    a scrambled Halton design (scipy.stats.qmc) for the rest. Without parameters it is empty.

    Raises UserError: `size` is too small, see `require_size`.
    """
    if not ranges:
        return {}
    require_size(ranges, size)
    if len(ranges) == 1:
        name, (low, high) = next(iter(ranges.items()))
        return {name: np.linspace(low, high, size)}
    return _design(ranges, nominal, size=size, seed=seed)


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
    rest = qmc.Halton(len(ranges), rng=seed).random(size - len(corners) - 1)
    points = np.concatenate([corners, centre, low + rest * (high - low)])
    return {name: points[:, i] for i, name in enumerate(ranges)}
