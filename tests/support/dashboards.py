"""A sweep that is under way, and a dashboard that draws little of it, for the dashboard's tests."""

from __future__ import annotations

from pathlib import Path

from fedrl_ray.reports.data import ReportData
from fedrl_ray.reports.figures.learning import learning_curves
from fedrl_ray.reports.overview import configurations
from fedrl_ray.reports.section import Section
from tests.support.report_runs import write_sweep

SEARCH = {"learner.omega": [0.0, 0.3]}
POINTS = [{"learner.omega": omega} for omega in SEARCH["learner.omega"]]
TRIALS = {
    0: {"status": "completed"},
    1: {"status": "running", "share": 0.5},
    2: {"status": "failed", "share": 0.25, "reason": "<b>no</b>"},
    3: {"status": "pending", "share": 0},
}


def sweep(path: Path) -> Path:
    """Return a trial of every status."""
    return write_sweep(path, SEARCH, POINTS, trials=TRIALS)


def few(data: ReportData) -> list[Section]:
    """Return two sections in place of all: a figure and a table."""
    curves = [learning_curves(study)[1] for study in data.studies]
    return [*(curve for curve in curves if curve is not None), configurations(data)]
