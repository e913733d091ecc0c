"""What a method costs: time and bytes, and the share of the time that is not learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from ..methods import Method
from ..runs import RunData
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import COLOURS, axis, layout, plain_text

PHASES = ("communication", "aggregation", "evaluation", "checkpoint", "recovery")
"""Phases of the table besides learning."""


class Cost(NamedTuple):
    """Means over seeds. Seconds and bytes are of a round, `per_1000` of 1,000 local steps."""

    seconds: float
    learning: float
    bytes: float
    rounds: float
    failures: int
    phases: tuple[float, ...]
    """Seconds of a round by phase, those of `PHASES`; NaN where they were not logged."""

    def idle(self) -> float:
        """Share of a round's time that is not learning."""
        return 1 - self.learning / self.seconds if self.seconds else 0.0


def cost_of(method: Method) -> Cost | None:
    """None where no round has been logged."""
    runs = [run for run in method.runs if run.training.rounds]
    if not runs:
        return None

    def mean(total: str) -> float:
        return float(np.mean([getattr(r.training, total) / r.training.rounds for r in runs]))

    rounds = sum(run.training.rounds for run in runs) / len(runs)
    failures = sum(_lost(run) for run in runs)
    phases = tuple(_phase(runs, name) for name in PHASES)
    return Cost(mean("seconds"), mean("learning"), mean("bytes"), rounds, failures, phases)


def _phase(runs: Sequence[RunData], name: str) -> float:
    nan = float("nan")
    return float(np.mean([r.training.phases.get(name, nan) / r.training.rounds for r in runs]))


def _lost(run: RunData) -> int:
    return len(run.training.failures)


def cost(study: Study) -> Section | None:
    """Time and bytes per 1,000 local steps, so that methods of different E compare."""
    found = [(m, c) for m in study.methods if (c := cost_of(m)) is not None]
    labels = [plain_text(m.label) for m, _ in found]
    per = [1000 / m.sync_interval for m, _ in found]
    fig = go.Figure(layout=layout(180 + (30 if len(found) <= 24 else 20) * len(found)))
    learning = [c.learning * p for (_, c), p in zip(found, per, strict=True)]
    rest = [(c.seconds - c.learning) * p for (_, c), p in zip(found, per, strict=True)]
    _bar(fig, "learning", learning, labels, COLOURS[0], "")
    _bar(fig, "not learning", rest, labels, COLOURS[1], "/")
    fig.update_layout(barmode="stack", legend_traceorder="normal")
    fig.update_xaxes(axis(title_text="seconds per 1,000 local steps"))
    fig.update_yaxes(axis(autorange="reversed", ticks=""))
    text = (
        "Wall time of the rounds for 1,000 local steps of every agent. Learning is the longest "
        "time inside an actor; what is left is broadcast, averaging, waiting and logging. Bytes, "
        "in the table, are the parameters sent out and the partial sums sent back."
    )
    table = Table(columns=_COLUMNS, rows=tuple(_rows(found)))
    return section("cost", "Time and bytes", text, figure=fig, table=table)


def _bar(
    fig: go.Figure, name: str, x: Sequence[float], labels: Sequence[str], colour: str, pattern: str
) -> None:
    if labels:
        fig.add_bar(
            x=list(x), y=list(labels), name=name, orientation="h",
            marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": "#fff"}},
        )  # fmt: skip


_COLUMNS = (
    "method",
    "rounds",
    "seconds per round",
    "learning, seconds per round",
    "share not learning",
    "bytes per round",
    "bytes per 1,000 local steps",
    "actors lost",
    *(f"{name}, seconds per round" for name in PHASES),
)


def _rows(found: Sequence[tuple[Method, Cost]]) -> Iterator[tuple[Cell, ...]]:
    for m, c in found:
        sent = (round(c.bytes), round(c.bytes * 1000 / m.sync_interval))
        yield (
            m.label,
            round(c.rounds),
            c.seconds,
            c.learning,
            c.idle(),
            *sent,
            c.failures,
            *c.phases,
        )
