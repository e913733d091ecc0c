"""The trials of a sweep: the points of its search space, each with several seeds."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.errors import UserError
from ..config import loading
from ..config.schema import Experiment
from ..config.search_spaces import Grid
from ..config.sweep import Pbt, SweepConfig
from ..config.yaml_files import set_key

Point = dict[str, Any]
"""Values of the searched keys, by dotted key."""

_FIXED = {
    "name": "trials are named after their keys",
    "seed": "sweep.seeds repeats every point",
    "federation.steps": "every point gets the same budget",
    "federation.backend": "sweep.backend decides for all trials",
    "evaluation": "all trials are scored alike",
    "sweep": "a sweep does not search itself",
}


@dataclass(frozen=True)
class Variant:
    """A point and a seed: one trial."""

    point: Point
    seed: int


def check_search(experiment: Experiment, sweep: SweepConfig) -> None:
    """Raise UserError unless every searched key exists and every value is legal."""
    for key in sweep.search:
        for fixed, why in _FIXED.items():
            if related(key, fixed):
                raise UserError(f"sweep.search.{key}: cannot be searched; {why}")
    base = experiment.to_dict()
    spaces = sweep.spaces()
    first = {key: space.ends()[0] for key, space in spaces.items()}
    for key, space in spaces.items():
        for value in space.ends():
            at_point(base, first | {key: value}, experiment.seed)
    if sweep.searcher != "optuna":
        for point in points(sweep, experiment.seed):
            at_point(base, point, experiment.seed)


def related(one: str, other: str) -> bool:
    """Return True if two dotted keys are equal, or one is a section that holds the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def points(sweep: SweepConfig, seed: int) -> list[Point]:
    """Return all points: for each draw of the distributions the product of the lists.

    The lists vary in the order of the file, the last one fastest.
    """
    spaces = sweep.spaces()
    grids = {key: space.values for key, space in spaces.items() if isinstance(space, Grid)}
    found = []
    for sample in range(sweep.samples):
        rng = np.random.default_rng([seed, sample])
        drawn = {k: s.draw(rng) for k, s in spaces.items() if not isinstance(s, Grid)}
        for values in itertools.product(*grids.values()):
            chosen = dict(zip(grids, values, strict=True)) | drawn
            found.append({key: chosen[key] for key in spaces})
    return found


def variants(experiment: Experiment, sweep: SweepConfig) -> list[Variant]:
    """Return every point with every seed, first all points with the first seed.

    An early look at the sweep therefore shows every point.
    """
    return [
        Variant(point, experiment.seed + number)
        for number in range(sweep.seeds)
        for point in points(sweep, experiment.seed)
    ]


def at_point(base: Mapping[str, Any], point: Point, seed: int) -> Experiment:
    """Return the experiment of one trial. Raise UserError with the point if it is not legal."""
    data = copy.deepcopy(dict(base))
    for key, value in point.items():
        set_key(data, key.split("."), copy.deepcopy(value), f"sweep.search.{key}")
    data["seed"] = seed
    return loading.from_dict(data, source=f"sweep.search at {label(point)}")


def label(point: Point) -> str:
    """Return a point as text: `learner.omega=0.1, federation.sync_interval=10`."""
    return ", ".join(f"{key}={_short(value)}" for key, value in point.items())


def trial_name(number: str, point: Point, seed: int) -> str:
    """Return a trial's name, legal for a folder: `00003-omega=0.1-sync_interval=10-seed=0`."""
    parts = [f"{key.split('.')[-1]}={_short(value)}" for key, value in point.items()]
    text = re.sub(r"[^\w.=+-]", "_", "-".join(parts), flags=re.ASCII)[:80]
    return f"{number}-{text}-seed={seed}"


def listed_names(experiment: Experiment, sweep: SweepConfig) -> dict[str, Variant]:
    """Return the trials that are known beforehand, by name.

    Trials of a population have only numbers as names, because their keys change on the way.
    """
    named = {}
    for index, variant in enumerate(variants(experiment, sweep)):
        number = f"{index:05d}"
        moves = isinstance(sweep.scheduler, Pbt)
        named[number if moves else trial_name(number, variant.point, variant.seed)] = variant
    return named


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
