"""Everything that a run writes besides checkpoints: logs, events, TensorBoard and Prometheus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agents.messages import Outlier, RoundReport
from ..federation.outliers import OutlierWatch
from . import run_directory
from .events import RunLog
from .prometheus import PrometheusMetrics
from .run_directory import EVALUATIONS, METRICS, RoundLog

if TYPE_CHECKING:
    from .tensorboard import TensorBoardWriter


class RunRecords:
    """The records of one run in its directory on this machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._metrics = RoundLog(directory / METRICS)
        self._evaluations = RoundLog(directory / EVALUATIONS)
        self._log = RunLog(directory)
        self._watch = OutlierWatch()
        self._prometheus = PrometheusMetrics(directory.name)
        self._tensorboard: TensorBoardWriter | None = None

    def start_tensorboard(self, *, after: int) -> None:
        """Open TensorBoard's events; those of steps after `after` are dropped."""
        from .tensorboard import TensorBoardWriter  # tensorboardX takes a tenth of a second

        self._tensorboard = TensorBoardWriter(self._directory, after=after)

    def round(self, report: RoundReport) -> RoundReport:
        """Append a round to metrics.jsonl and, with its evaluation if any, to TensorBoard's events.

        This comes before the round's checkpoint, so that a resumed run has both. The result is the
        report with its outliers, which are told.
        """
        report = replace(report, outliers=self._watch.look(report.round, report.metrics))
        self._metrics.append(report.to_dict())
        if self._tensorboard is not None:
            self._tensorboard.write(report)
        for outlier in report.outliers:
            if outlier.is_told:
                self._tell(report.round, outlier)
        return report

    def publish(self, report: RoundReport) -> None:
        """Pass a round, with its evaluation if any, on to Prometheus."""
        self._prometheus.round(report)

    def flush(self) -> None:
        """Hand all that was written to the disk; the other records are never held back."""
        if self._tensorboard is not None:
            self._tensorboard.flush()

    def evaluation(self, row: dict[str, Any]) -> None:
        """Append an evaluation to evaluations.jsonl."""
        self._evaluations.append(row)

    def last_evaluation(self) -> dict[str, Any] | None:
        """Return the last row of evaluations.jsonl."""
        rows = run_directory.read_rows(self._directory / EVALUATIONS)
        return rows[-1] if rows else None

    def event(self, event: str, *, round_number: int, fields: dict[str, Any]) -> None:
        """Append an event to log.jsonl and count it for Prometheus."""
        self._log.note(event, round=round_number, **fields)
        self._prometheus.event(event, fields)

    def _tell(self, round_number: int, outlier: Outlier) -> None:
        fields = outlier._asdict()
        self.event(
            "outlier", round_number=round_number, fields={"agents": [fields.pop("agent")]} | fields
        )

    def phases(self, seconds: dict[str, float]) -> None:
        """Count seconds per phase that no round reports."""
        self._prometheus.phases(seconds)

    def cut(self, last_round: int, last_step: int) -> None:
        """Drop what is logged of rounds that a rewind or a resume has undone.

        last_round, last_step: the newest round that stays, and its local steps.
        """
        self._metrics.cut(last_round)
        self._evaluations.cut(last_round)
        if self._tensorboard is not None:
            self._tensorboard.cut(last_step)

    def close(self) -> None:
        """Flush, and stop keeping gauges up."""
        if self._tensorboard is not None:
            self._tensorboard.close()
        self._prometheus.close()
