"""Helpers that train small runs to the end and return their digests or summaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedrl_ray.config.schema import Experiment
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.run import Run


def digests(summary: dict[str, Any]) -> tuple[str, str]:
    """Return the digests of the global parameters and of all agents' states."""
    return summary["digest"], summary["state_digest"]


def train(experiment: Experiment, directory: Path, driver: Driver | None = None) -> dict[str, Any]:
    """Train to the end in this process; return the summary."""
    run = Run(experiment, directory, driver=driver)
    list(run)
    summary = run.finish()
    run.close()
    return summary
