"""TensorBoard events of a run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..agents.messages import RoundReport

EVENTS = "events"


class TensorBoardWriter:
    """Writes TensorBoard events into the run directory.

    Events of steps after `after`, which belong to rounds that a resume has undone, are hidden.
    """

    def __init__(self, directory: Path, *, after: int) -> None:
        from tensorboardX import SummaryWriter

        purge = after + 1 if after else None
        self._writer = SummaryWriter(str(directory / EVENTS), purge_step=purge)

    def write(self, report: RoundReport) -> None:
        """Write means over agents, and the evaluation if there was one."""
        for name, values in report.metrics.items():
            if not np.isnan(values).all():
                self._writer.add_scalar(f"training/{name}", np.nanmean(values), report.steps)
        self._writer.add_scalar("training/drift", report.drift, report.steps)
        if report.evaluation is not None:
            for name, value in report.evaluation.figures().items():
                if math.isfinite(value):
                    self._writer.add_scalar(f"evaluation/{name}", value, report.steps)

    def close(self) -> None:
        """Flush and let go of the file."""
        self._writer.close()
