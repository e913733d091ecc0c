"""Optuna as the searcher of a sweep, new or brought to where the records of a sweep end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ray.tune.search.repeater import Repeater

from ..common.errors import UserError
from ..common.modules import is_installed
from ..config.schema import Experiment
from ..config.sweep import SweepConfig
from .directory import Trial
from .points import Point
from .search import param_space


def searcher(experiment: Experiment, sweep: SweepConfig, recorded: Iterable[Trial]) -> Any:
    """Return Optuna, which repeats its suggestions for every seed; None if we list the trials.

    recorded: the trials of a sweep that is resumed. Their points are suggested again, in order, so
    that their trials report again. Raise UserError if the package is missing.
    """
    if sweep.searcher != "optuna":
        return None
    if not is_installed("optuna"):
        raise UserError("sweep.searcher optuna needs a package: pip install 'fedrl-ray[sweep]'")
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=experiment.seed % 2**32)
    space = OptunaSearch.convert_search_space(param_space(experiment, sweep, []))
    search = OptunaSearch(
        metric=sweep.metric,
        mode="max",
        sampler=sampler,
        points_to_evaluate=_again(sampler, space, suggested(recorded, sweep)),
    )
    return Repeater(search, repeat=sweep.seeds) if sweep.seeds > 1 else search


def suggested(recorded: Iterable[Trial], sweep: SweepConfig) -> dict[int, Point]:
    """Return the recorded points by the number of their suggestion, counted from 0.

    Raise UserError for trials whose names do not begin with their numbers.
    """
    points = {}
    for trial in recorded:
        number = re.match(r"(\d{5,})-", trial.name)
        if number is None:
            raise UserError(
                f"--resume: {trial.name} was named by an earlier version, which did not record the "
                "order of the suggestions; `report` reads this sweep, but it cannot go on"
            )
        points[int(number[1]) // sweep.seeds] = trial.point
    return points


def _again(sampler: Any, space: Any, points: Mapping[int, Point]) -> list[dict[str, Any]]:
    """Return the recorded points for Optuna, and leave the sampler as after drawing them.

    Otherwise the first new suggestions would repeat the recorded ones. A draw also stands for a
    suggestion whose trials had not begun.
    """
    import optuna

    study = optuna.create_study(sampler=sampler)
    drawn = [study.ask(space).params for _ in range(max(points, default=-1) + 1)]
    for number, point in points.items():
        drawn[number] = {f"trial/point/{key}": value for key, value in point.items()}
    return drawn
