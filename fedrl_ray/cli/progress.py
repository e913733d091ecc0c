"""Progress, results and a picture of the test grid in the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..agents.messages import RoundReport
from ..common.console import console, notes
from ..config.schema import Experiment
from ..reports.axis import finite, grid_axis, position_text


class ProgressView(Protocol):
    """A view that shows rounds as they complete."""

    def __enter__(self) -> ProgressView: ...
    def __exit__(self, *exc: object) -> None: ...
    def show(self, report: RoundReport) -> None:
        """Show a completed round."""


class SilentView:
    """A view for scripts, which shows failures and outliers only."""

    def __enter__(self) -> SilentView:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def show(self, report: RoundReport) -> None:
        """Print lost workers and new outliers."""
        print_warnings(report)


class BarView:
    """A view with a live bar on a terminal, and a line per evaluation elsewhere."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment, self._figures = experiment, _Figures()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("round {task.completed}/{task.total}", markup=False),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(),
            console=notes,
        )
        self._task = self._bar.add_task(experiment.name, total=experiment.rounds, figures="")

    def __enter__(self) -> BarView:
        if notes.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if notes.is_terminal:
            self._bar.stop()

    def show(self, report: RoundReport) -> None:
        """Move the bar; print a line for an evaluation if there is no terminal."""
        print_warnings(report)
        text = self._figures.update(report)
        self._bar.update(self._task, completed=report.round, figures=text)
        if not notes.is_terminal and report.evaluation is not None:
            notes.print(f"round {report.round}/{self._experiment.rounds}  {text}", soft_wrap=True)


class _Figures:
    """The figures beside the bar: the newest value of each."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._first: int | None = None
        self._shown: dict[str, str] = {}

    def update(self, report: RoundReport) -> str:
        if self._first is None or report.agent_steps < self._first:  # fewer steps: a rewind
            self._first, self._start = report.agent_steps, time.perf_counter() - report.seconds
        elapsed = max(time.perf_counter() - self._start, 1e-9)
        rate = (report.agent_steps - self._first) / elapsed
        if rate:
            self._shown["rate"] = f"{rate:,.0f} agent steps/s"
        returns = report.metrics["episode_return"]
        if not np.isnan(returns).all():
            self._shown["return"] = f"return {np.nanmean(returns):.1f}"
        if report.evaluation is not None:
            self._shown["average"] = f"average {report.evaluation.average:.1f}"
            self._shown["worst"] = f"worst {report.evaluation.worst:.1f}"
        return "  ".join(self._shown.values())


def print_warnings(report: RoundReport) -> None:
    """Print lost workers and new outliers, even if no progress is shown."""
    outliers = [str(outlier) for outlier in report.outliers if outlier.is_told]
    for warning in (*report.failures, *outliers):
        notes.print(f"round {report.round}: {warning}", style="yellow", soft_wrap=True)


def print_evaluation(evaluation: dict[str, Any]) -> None:
    """Print the nominal, average and worst return, and a bar per test environment."""
    x, label = grid_axis(evaluation["dynamics"])
    returns = [finite(value) for value in evaluation["returns"]]
    at = {"worst": f"  at {label} {_worst_position(x, returns)}"} if len(x) > 1 else {}
    for name in ("nominal", "average", "worst"):
        if (value := finite(evaluation[name])) is not None:
            console.print(f"{name:<8} {value:10.2f}{at.get(name, '')}", soft_wrap=True)
    table = Table(box=None, padding=(0, 1))
    table.add_column(label, justify="right")
    table.add_column("return", justify="right")
    table.add_column("", no_wrap=True)
    for position, value in zip(x, returns, strict=True):
        table.add_row(position_text(position), "n/a" if value is None else f"{value:.1f}",
                      _bar(value, returns))  # fmt: skip
    console.print(table)


def _worst_position(x: Sequence[float | str], returns: Sequence[float | None]) -> str:
    seen = [(value, i) for i, value in enumerate(returns) if value is not None]
    return position_text(x[min(seen)[1]]) if seen else "n/a"


def _bar(value: float | None, values: list[float | None], width: int = 30) -> str:
    """Return a bar for a return, on a scale that includes 0 and all returns."""
    if value is None:
        return ""
    seen = [v for v in values if v is not None]
    low, high = min(0.0, *seen), max(0.0, *seen)
    share = (value - low) / (high - low) if high > low else 1.0
    return _block() * max(1, round(width * share))


def _block() -> str:
    """Return the character of which bars are made, if the stream of the results has it."""
    try:
        "█".encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return "#"
    return "█"
